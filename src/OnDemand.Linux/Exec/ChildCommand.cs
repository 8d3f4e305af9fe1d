using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Exec;

/// <summary>A command that this process runs and stands for: it hands on the signals that it gets, and ends as the command ends.</summary>
/// <remarks>
/// Both are in one process group. So what the terminal sends to the foreground (Ctrl-C, Ctrl-\, Ctrl-Z, a new size) the command gets by itself;
/// SIGINT and SIGQUIT are handed on only where no terminal can have sent them, or the command would get them twice.
/// </remarks>
internal sealed class ChildCommand
{
    private const int Interrupt = 2;                 // numbers of signal(7); those that differ between architectures are not handed on
    private const int Quit = 3;
    private const int SignalMask = 0x7f;             // of the status that waitpid(2) gives
    private static readonly int[] HandedOn = [Libc.SignalTerminate, 1, Interrupt, Quit];

    private readonly Lock _lock = new();
    private int _process;                            // 0 before it is there and when it has been waited for
    private ulong _early;                            // signals that came before it was there

    private ChildCommand()
    {
    }

    /// <summary>Runs a command until it ends.</summary>
    /// <param name="line">The program, looked up in PATH, and its arguments.</param>
    /// <param name="begun">Called when it is there.</param>
    /// <returns>Its exit status; 128 + n if signal n ended it.</returns>
    /// <exception cref="LinuxException">It could not be started.</exception>
    public static int Run(IReadOnlyList<string> line, Action begun)
    {
        var command = new ChildCommand();
        ulong ignored = IgnoredSignals();
        PosixSignalRegistration[] registrations =
        [
            // What is ignored here (nohup, or a job in the background of a script) the command ignores too.
            .. HandedOn.Where(signal => (ignored & (1UL << (signal - 1))) == 0)
                .Select(signal => PosixSignalRegistration.Create(NameOf(signal), context => command.HandOn(context, signal))),
        ];
        try
        {
            int process = command.Start(line);
            begun();
            return command.Wait(process);
        }
        finally
        {
            foreach (PosixSignalRegistration registration in registrations)
            {
                registration.Dispose();
            }
        }
    }

    /// <summary>The exit status that a shell would give.</summary>
    /// <param name="status">What waitpid(2) says.</param>
    /// <returns>The status.</returns>
    internal static int StatusOf(int status) => (status & SignalMask) == 0 ? (status >> 8) & 0xff : 128 + (status & SignalMask);

    private static PosixSignal NameOf(int signal) => signal switch
    {
        Interrupt => PosixSignal.SIGINT,
        Quit => PosixSignal.SIGQUIT,
        Libc.SignalTerminate => PosixSignal.SIGTERM,
        _ => PosixSignal.SIGHUP,
    };

    private static ulong IgnoredSignals()
    {
        const string head = "SigIgn:\t";
        string? line = File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(head, StringComparison.Ordinal));
        return line is null ? 0 : Convert.ToUInt64(line[head.Length..], 16);
    }

    private static bool IsInForeground()
    {
        using FileDescriptor terminal = Libc.Open(Libc.Terminal, Libc.ReadWrite | Libc.CloseOnExec, 0);
        return !terminal.IsInvalid && Libc.GetForegroundGroup(terminal) == Libc.GetProcessGroup();
    }

    private void HandOn(PosixSignalContext context, int signal)
    {
        context.Cancel = true;                       // this process ends with the command
        lock (_lock)
        {
            if (_process == 0)
            {
                _early |= 1UL << signal;
            }
            else if (!(signal is Interrupt or Quit && IsInForeground()))
            {
                _ = Libc.Kill(_process, signal);
            }
        }
    }

    private unsafe int Start(IReadOnlyList<string> line)
    {
        Span<byte> attributes = stackalloc byte[Libc.SpawnAttributesLength];
        Span<byte> signals = stackalloc byte[Libc.SignalSetLength];
        attributes.Clear();
        signals.Clear();

        // The runtime ignores it, and what is ignored stays ignored in the next program.
        _ = Libc.AddSignal(signals, Libc.SignalPipe);
        _ = Libc.InitializeSpawnAttributes(attributes);
        _ = Libc.SetSpawnDefaultSignals(attributes, signals);
        _ = Libc.SetSpawnFlags(attributes, Libc.SpawnDefaultSignals);
        nint environment = *(nint*)NativeLibrary.GetExport(NativeLibrary.GetMainProgramHandle(), "environ");
        int error;
        int process;
        lock (_lock)
        {
            error = Libc.Spawn(out process, line[0], 0, attributes, [.. line, null], environment);
            _process = error == 0 ? process : 0;
            foreach (int signal in HandedOn.Where(signal => error == 0 && (_early & (1UL << signal)) != 0))
            {
                _ = Libc.Kill(process, signal);
            }
        }

        _ = Libc.DestroySpawnAttributes(attributes);
        return error == 0 ? process : throw new LinuxException(line[0], error);
    }

    private int Wait(int process)
    {
        Span<byte> information = stackalloc byte[Libc.SignalInformationLength];
        while (Libc.AwaitEnd(Libc.WaitForProcess, process, information, Libc.WaitExited | Libc.WaitKeep) < 0 && Libc.LastError == Errno.Eintr)
        {
            // A signal that was handed on.
        }

        // From here on its number may be somebody else's.
        lock (_lock)
        {
            _process = 0;
        }

        return Libc.WaitFor(process, out int status, 0) == process ? StatusOf(status) : throw new LinuxException("waitpid", Libc.LastError);
    }
}
