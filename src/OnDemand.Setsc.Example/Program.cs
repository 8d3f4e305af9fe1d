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
    await BindAsync(socket).ConfigureAwait(false);
    await socket.ConnectAsync(server, port).ConfigureAwait(false);
    using var stream = new NetworkStream(socket);
    using var reader = new StreamReader(stream);
    while (await Console.In.ReadLineAsync().ConfigureAwait(false) is { } line)
    {
        await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(line + "\n")).ConfigureAwait(false);
        string answer = await reader.ReadLineAsync().ConfigureAwait(false) ?? throw new IOException("The peer has closed the connection.");
        await Console.Out.WriteLineAsync(answer).ConfigureAwait(false);
    }

    return 0;
}
catch (Exception gone) when (gone is SocketException or IOException)
{
    // A socket without a type is reset when its address ends with a move.
    await Console.Error.WriteLineAsync(gone.Message).ConfigureAwait(false);
    return 1;
}

static async Task BindAsync(Socket socket)
{
    IPAddress source;
    try
    {
        source = await socket.SetServiceContinuityAsync(AddressType.SessionLasting).ConfigureAwait(false);
    }
    catch (SetscException refused)
    {
        // The address is not to be had: as any program would, this one goes on with the host's ordinary address (draft-17 §4.2).
        await Console.Out.WriteLineAsync($"session-lasting: {refused.Message}").ConfigureAwait(false);
        await Console.Out.WriteLineAsync("none: the host's ordinary address").ConfigureAwait(false);
        return;
    }

    await Console.Out.WriteLineAsync($"session-lasting: {source}").ConfigureAwait(false);
    socket.Bind(new IPEndPoint(source, 0));
}
