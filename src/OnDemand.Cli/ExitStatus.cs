namespace OnDemand.Cli;

/// <summary>The exit statuses of <c>ondemand</c>: its contract with scripts.</summary>
internal static class ExitStatus
{
    /// <summary>Done.</summary>
    public const int Done = 0;

    /// <summary>Done, and the output is not what it must be.</summary>
    public const int VerificationFailed = 1;

    /// <summary>The command line, the scenario or a file name is wrong; nothing was done.</summary>
    public const int Usage = 2;

    /// <summary>The input capture is damaged; everything before the damage was done.</summary>
    public const int DamagedInput = 3;

    /// <summary>The host cannot do it: a right, a device or an address is missing or taken, or the disk is full.</summary>
    public const int Host = 4;

    /// <summary>No dataplane answers on the control socket.</summary>
    public const int NoAnswer = 5;

    /// <summary>A mistake of the program itself (EX_SOFTWARE of sysexits.h).</summary>
    public const int Internal = 70;

    /// <summary>A command that was to be run cannot be (as env(1) and nohup(1) have it).</summary>
    public const int CannotRun = 126;

    /// <summary>There is no such command.</summary>
    public const int NotFound = 127;

    /// <summary>Stopped by SIGINT (128 and its number) or by SIGTERM.</summary>
    public const int Interrupted = 130;

    /// <summary>What <c>--help</c> says about them.</summary>
    public const string Help =
        """
        Exit status:
          0  done
          1  done, but verification failed
          2  wrong usage, scenario or file name; nothing was done
          3  the input capture is damaged; everything before the damage was done
          4  the host cannot do it, or has no room for what is written
          5  no dataplane answers on the control socket
          70 a mistake of this program itself
          130 stopped by SIGINT or SIGTERM

        """;
}
