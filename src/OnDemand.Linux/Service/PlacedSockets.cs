using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Service;

/// <summary>Which sockets are still where they were when they asked, or in another process by now. That is all that tells of a socket without
/// a port: it is in none of the kernel's tables. One that is just being handed over between two processes (unix(7)) is in no place.</summary>
internal static class PlacedSockets
{
    /// <summary>Whether all are where they were; takes some microseconds for each.</summary>
    /// <param name="sockets">The sockets; those whose inode is not known are passed over.</param>
    /// <returns>Whether they are.</returns>
    public static bool AreAllThere(IEnumerable<AskingSocket> sockets) =>
        sockets.All(static socket => socket.Place.Inode == 0 || TakenSocket.IsThere(socket.Place.Holder, socket.Cookie));

    /// <summary>Finds out which are still there. Where one is not in its place, all processes are gone through, once for all.</summary>
    /// <param name="sockets">The sockets; those whose inode is not known count as gone.</param>
    /// <returns>The cookies of those that are there, and where.</returns>
    public static Dictionary<ulong, SocketHolder> Find(IEnumerable<AskingSocket> sockets)
    {
        Dictionary<ulong, SocketHolder> found = [];
        Dictionary<uint, ulong> missing = [];
        foreach (AskingSocket socket in sockets)
        {
            if (TakenSocket.IsThere(socket.Place.Holder, socket.Cookie))
            {
                found[socket.Cookie] = socket.Place.Holder;
            }
            else if (socket.Place.Inode != 0)
            {
                missing[socket.Place.Inode] = socket.Cookie;
            }
        }

        if (missing.Count == 0)
        {
            return found;
        }

        foreach (int process in ProcessSockets.All())
        {
            foreach (int descriptor in ProcessSockets.DescriptorsOf(process))
            {
                var holder = new SocketHolder(process, descriptor);
                if (ProcessSockets.TryGetInode(process, descriptor, out uint inode) && missing.TryGetValue(inode, out ulong cookie)
                    && TakenSocket.IsThere(holder, cookie))
                {
                    found[cookie] = holder;
                    missing.Remove(inode);
                }
            }
        }

        return found;
    }
}
