using OnDemand.Linux.Interop;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Policy;

/// <summary>Whoever has a socket, when it is to have the type of the command that it was started under. Looks up only what is asked for.</summary>
/// <param name="socket">The socket; a program has it.</param>
/// <param name="owners">Finds its program.</param>
internal sealed class SocketApplicant(SocketRecord socket, SocketOwners owners) : IApplicant
{
    /// <inheritdoc/>
    public uint User => socket.Uid;

    /// <inheritdoc/>
    public bool IsInGroup(uint group)
    {
        try
        {
            return UserNames.GroupsOf(socket.Uid).Contains(group);
        }
        catch (LinuxException)
        {
            return false;                            // what is not known gives no right
        }
    }

    /// <inheritdoc/>
    public bool Runs(string program) => owners.TryFind(socket, out SocketOwner owner) && ProgramPattern.Runs(owner.ProcessId, program);
}
