using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Xunit;

namespace OnDemand.Linux.Tests.Netlink;

/// <summary>
/// A network namespace of a test's own. Namespaces belong to threads: this one has a thread that carries out what it is given, programs
/// started there included; with the thread and the last socket the namespace ends.
/// </summary>
internal sealed partial class NetworkNamespace : IDisposable
{
    private const int NewNetwork = 0x4000_0000;

    private readonly BlockingCollection<Action> _work = [];
    private readonly Thread _thread;
    private int _error = -1;

    /// <summary>Makes a namespace, or skips the test that cannot have one.</summary>
    public NetworkNamespace()
    {
        using var ready = new ManualResetEventSlim();
        _thread = new Thread(() =>
        {
            _error = Unshare(NewNetwork) == 0 ? 0 : Marshal.GetLastPInvokeError();
            ready.Set();
            foreach (Action action in _work.GetConsumingEnumerable())
            {
                action();
            }
        })
        { IsBackground = true, Name = "network namespace" };
        _thread.Start();
        ready.Wait();
        if (_error != 0)
        {
            Dispose();
            Assert.Skip($"A network namespace needs root: unshare gave {Marshal.GetPInvokeErrorMessage(_error)}.");
        }
    }

    /// <summary>Carries something out in the namespace and waits for it.</summary>
    public T Run<T>(Func<T> work)
    {
        using var done = new ManualResetEventSlim();
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        _work.Add(() =>
        {
            try
            {
                result = work();
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }

            done.Set();
        });
        done.Wait();
        failure?.Throw();
        return result!;
    }

    /// <summary>Carries something out in the namespace and waits for it.</summary>
    public void Run(Action work) => Run(() =>
    {
        work();
        return 0;
    });

    /// <summary>Runs commands of sh(1) in the namespace, which all must succeed.</summary>
    public string Shell(string script) => Run(() => ShellHere(script));

    /// <summary>Runs commands of sh(1) in the calling thread's namespace.</summary>
    public static string ShellHere(string script)
    {
        ProcessStartInfo start = new("sh", ["-e", "-c", script]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;

        // Short outputs: neither pipe fills while the other is read.
        string output = process.StandardOutput.ReadToEnd();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{script}: {errors}{output}");
        return output;
    }

    public void Dispose()
    {
        if (!_work.IsAddingCompleted)
        {
            _work.CompleteAdding();
            _thread.Join();
            _work.Dispose();
        }
    }

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Unshare(int flags);
}
