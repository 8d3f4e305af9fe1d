namespace OnDemand.Cli;

/// <summary>The exit statuses of <c>ondemand</c>; all but the last are part of its contract with scripts.</summary>
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

    /// <summary>The host cannot do it: a right, a device or an address is missing or taken.</summary>
    public const int Host = 4;

    /// <summary>No dataplane answers on the control socket.</summary>
    public const int NoAnswer = 5;

    /// <summary>A mistake of the program itself (EX_SOFTWARE of sysexits.h).</summary>
    public const int Internal = 70;

    /// <summary>Stopped by the user (128 and the number of SIGINT).</summary>
    public const int Interrupted = 130;

    /// <summary>What <c>--help</c> says about them.</summary>
    public const string Help =
        """
        Exit status:
          0  done
          1  done, but verification failed
          2  wrong usage, scenario or file name; nothing was done
          3  the input capture is damaged; everything before the damage was done
          4  the host cannot do it
          5  no dataplane answers on the control socket

        """;
}
