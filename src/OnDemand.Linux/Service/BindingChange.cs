namespace OnDemand.Linux.Service;

/// <summary>What is to be kept of a socket's binding.</summary>
/// <param name="Cookie">The socket.</param>
/// <param name="Binding">What it has got; null if that is over.</param>
internal readonly record struct BindingChange(ulong Cookie, SocketBinding? Binding);
