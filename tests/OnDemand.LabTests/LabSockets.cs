using System.Runtime.ExceptionServices;
using Microsoft.Win32.SafeHandles;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>
/// Makes sockets on a lab's nodes. A socket belongs to the network namespace of the thread that made it, and can then be used by any
/// thread; so a thread goes there, makes it and ends.
/// </summary>
internal static class LabSockets
{
    /// <summary>Does something on a node: only what is made on the calling thread is made there.</summary>
    /// <typeparam name="T">What it makes.</typeparam>
    /// <param name="lab">The lab's name.</param>
    /// <param name="node">The node.</param>
    /// <param name="make">Makes it; without going to other threads.</param>
    /// <returns>What was made.</returns>
    public static T On<T>(string lab, string node, Func<T> make)
    {
        T made = default!;
        ExceptionDispatchInfo? problem = null;
        var there = new Thread(() =>
        {
            try
            {
                using SafeFileHandle place = File.OpenHandle(
                    Path.Combine("/run/netns", LabNodes.Namespace(lab, node)), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
                if (Libc.SetNamespace((int)place.DangerousGetHandle(), Libc.NetworkNamespace) != 0)
                {
                    throw new LinuxException($"setns {node}", Libc.LastError);
                }

                made = make();
            }
            catch (Exception thrown)
            {
                problem = ExceptionDispatchInfo.Capture(thrown);
            }
        });
        there.Start();
        there.Join();
        problem?.Throw();
        return made;
    }
}
