namespace OnDemand.Linux.Service;

/// <summary>A socket that has asked, or asks.</summary>
/// <param name="Cookie">The kernel's cookie of it.</param>
/// <param name="Place">Where it was then.</param>
internal readonly record struct AskingSocket(ulong Cookie, SocketPlace Place);
