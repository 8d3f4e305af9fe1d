using System.Text.Json;
using System.Threading.Channels;
using OnDemand.Dataplane;

namespace OnDemand.Linux.Audit;

/// <summary>
/// Writes the audit log on a thread of its own, so that no answer waits for a disk: entries wait in a bounded queue, and what finds no
/// room there is counted and told in the log where it is missing.
/// </summary>
internal sealed class AuditLog : IDisposable
{
    /// <summary>How many entries may wait.</summary>
    public const int Room = 4096;

    private readonly AuditSettings _settings;
    private readonly Action<string> _say;
    private readonly Channel<AuditEntry> _waiting = Channel.CreateBounded<AuditEntry>(
        new BoundedChannelOptions(Room) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
    private readonly Thread _writer;
    private RotatedFile? _file;
    private long _lost;
    private bool _hasComplained;
    private int _disposed;

    /// <summary>Opens the log.</summary>
    /// <param name="settings">Where it is, and how long.</param>
    /// <param name="say">Is told one sentence when it cannot be written any more.</param>
    /// <exception cref="HostException">The file cannot be written.</exception>
    public AuditLog(AuditSettings settings, Action<string> say)
    {
        _settings = settings;
        _say = say;
        try
        {
            _file = new RotatedFile(settings);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new HostException(
                $"The audit log '{settings.File}' cannot be written: {refused.Message.TrimEnd('.')}; choose another file in 'audit'.", refused);
        }

        _writer = new Thread(Work) { IsBackground = true, Name = "audit" };
        _writer.Start();
    }

    /// <summary>Adds an entry; never waits. From any thread.</summary>
    /// <param name="entry">The entry.</param>
    public void Add(AuditEntry entry)
    {
        if (!_waiting.Writer.TryWrite(entry))
        {
            Interlocked.Increment(ref _lost);
        }
    }

    /// <summary>Writes what still waits, and closes the file.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _waiting.Writer.Complete();
            _writer.Join();
            _file?.Dispose();
        }
    }

    private void Work()
    {
        Timestamp last = default;
        while (_waiting.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (_waiting.Reader.TryRead(out AuditEntry? entry))
            {
                last = entry.Time;
                TellGap(last);
                if (TryWrite(JsonSerializer.SerializeToUtf8Bytes(entry, AuditJson.Default.AuditEntry)))
                {
                    _hasComplained = false;      // not for a gap's short line, for which there is room when there is none for an entry
                }
                else
                {
                    Interlocked.Increment(ref _lost);
                }
            }
        }

        TellGap(last);
    }

    private void TellGap(Timestamp now)
    {
        long lost = Interlocked.Exchange(ref _lost, 0);
        if (lost > 0 && !TryWrite(JsonSerializer.SerializeToUtf8Bytes(new AuditGap(now, lost), AuditJson.Default.AuditGap)))
        {
            Interlocked.Add(ref _lost, lost);
        }
    }

    // After a failure the file is opened anew for every entry: whatever it was may have been put right.
    private bool TryWrite(byte[] json)
    {
        try
        {
            _file ??= new RotatedFile(_settings);
            _file.Write([.. json, (byte)'\n']);
            return true;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            _file?.Dispose();
            _file = null;
            if (!_hasComplained)
            {
                _hasComplained = true;
                _say($"The audit log '{_settings.File}' cannot be written any more: {refused.Message.TrimEnd('.')}; entries are counted as lost.");
            }

            return false;
        }
    }
}
