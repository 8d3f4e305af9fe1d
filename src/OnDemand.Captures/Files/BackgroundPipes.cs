using System.IO.Pipelines;

namespace OnDemand.Captures.Files;

/// <summary>
/// Pipes whose other end is a stream that a thread of its own reads, so that waiting for one part of it overlaps with the work on another.
/// A bounded number of octets is under way at a time. See also <see cref="WriteBehind"/>.
/// </summary>
internal static class BackgroundPipes
{
    /// <summary>Octets that are read at a time.</summary>
    public const int PartLength = 1 << 20;

    private const int PartsUnderWay = 4;
    private const int LeastRoom = 4096;

    /// <summary>Reads a stream ahead; it is closed when it ends or nobody reads any more.</summary>
    /// <param name="input">The stream, which the pipe owns from now on.</param>
    /// <param name="partLength">Octets to read at a time.</param>
    /// <returns>What is read from it. An <see cref="IOException"/> of the stream comes out of reading.</returns>
    public static PipeReader ReadAhead(Stream input, int partLength)
    {
        Pipe pipe = Create(partLength);
        _ = Task.Factory.StartNew(() => Fill(input, pipe.Writer), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        return pipe.Reader;
    }

    private static Pipe Create(int partLength) => new(new PipeOptions(
        minimumSegmentSize: partLength,
        pauseWriterThreshold: (long)partLength * PartsUnderWay,
        resumeWriterThreshold: (long)partLength * PartsUnderWay / 2,
        useSynchronizationContext: false));

    private static void Fill(Stream input, PipeWriter pipe)
    {
        Exception? problem = null;
        try
        {
            using (input)
            {
                while (true)
                {
                    int read = input.Read(pipe.GetMemory(LeastRoom).Span);
                    pipe.Advance(read);
                    ValueTask<FlushResult> flushing = pipe.FlushAsync();
                    FlushResult flushed = flushing.IsCompleted ? flushing.Result : flushing.AsTask().GetAwaiter().GetResult();
                    if (read == 0 || flushed.IsCompleted)
                    {
                        break;
                    }
                }
            }
        }
        catch (Exception thrown) when (thrown is IOException or UnauthorizedAccessException or ObjectDisposedException or NotSupportedException)
        {
            problem = thrown;   // whoever reads the pipe gets it
        }

        pipe.Complete(problem);
    }
}
