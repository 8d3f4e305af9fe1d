using System.Net;
using System.Net.Sockets;
using OnDemand.Setsc;

// The example of draft-ietf-dmm-ondemand-mobility-17 §4.1 in C#: a client whose connection survives a move.
//
//   session-client ADDRESS PORT
//
// socket, service continuity, bind, connect; then each line of standard input is sent and one line is read back.
if (args.Length != 2 || !IPAddress.TryParse(args[0], out IPAddress? server) || !ushort.TryParse(args[1], out ushort port))
{
    await Console.Error.WriteLineAsync("usage: session-client ADDRESS PORT").ConfigureAwait(false);
    return 2;
}

using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
try
{
    IPAddress source = await socket.SetServiceContinuityAsync(AddressType.SessionLasting).ConfigureAwait(false);
    await Console.Out.WriteLineAsync($"session-lasting: {source}").ConfigureAwait(false);
    socket.Bind(new IPEndPoint(source, 0));
}
catch (SetscException refused)
{
    // The address is not to be had: as any program would, this one goes on with the host's ordinary address (draft-17 §4.2).
    await Console.Error.WriteLineAsync(refused.Message).ConfigureAwait(false);
}

await socket.ConnectAsync(server, port).ConfigureAwait(false);
using var stream = new NetworkStream(socket);
using var reader = new StreamReader(stream);
while (await Console.In.ReadLineAsync().ConfigureAwait(false) is { } line)
{
    await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(line + "\n")).ConfigureAwait(false);
    await Console.Out.WriteLineAsync(await reader.ReadLineAsync().ConfigureAwait(false)).ConfigureAwait(false);
}

return 0;
