using System.Diagnostics.Tracing;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;
using Microsoft.Diagnostics.Tracing.Parsers;
using Microsoft.Diagnostics.Tracing.Parsers.Clr;

namespace OnDemand.LabTests;

/// <summary>Watches what another process allocates and collects, over the runtime's own EventPipe.</summary>
internal sealed class CollectionWatch : IDisposable
{
    private const string Runtime = "Microsoft-Windows-DotNETRuntime";

    private readonly DiagnosticsClient _client;
    private readonly EventPipeSession _session;
    private readonly Thread _reader;
    private readonly List<GCReason> _reasons = [];
    private long _allocated;

    public CollectionWatch(int process)
    {
        _client = new DiagnosticsClient(process);
        _session = Open(ClrTraceEventParser.Keywords.GC, EventLevel.Verbose);
        _reader = new Thread(Read);
        _reader.Start();
    }

    /// <summary>Octets allocated since the beginning; the runtime says so about every 100 KiB, and a moment later.</summary>
    public long Allocated => Interlocked.Read(ref _allocated);

    /// <summary>Makes the process collect, and gives the reasons of all collections since the beginning, that one included.</summary>
    /// <returns>The reasons: the last one must be the one that was asked for, or nothing has been seen at all.</returns>
    public async Task<IReadOnlyList<GCReason>> EndAsync()
    {
        using (Open(ClrTraceEventParser.Keywords.GCHeapCollect, EventLevel.Informational))
        {
            await LabRig.BecomesAsync(() => Task.FromResult(Count > 0), TimeSpan.FromSeconds(20));
        }

        await _session.StopAsync(TestContext.Current.CancellationToken);
        _reader.Join();
        return _reasons;
    }

    public void Dispose() => _session.Dispose();

    private int Count
    {
        get
        {
            lock (_reasons)
            {
                return _reasons.Count;
            }
        }
    }

    private EventPipeSession Open(ClrTraceEventParser.Keywords keywords, EventLevel level) => _client.StartEventPipeSession(
        [new EventPipeProvider(Runtime, level, (long)keywords)], requestRundown: false);

    private void Read()
    {
        using var source = new EventPipeEventSource(_session.EventStream);
        source.Clr.GCStart += collection =>
        {
            lock (_reasons)
            {
                _reasons.Add(collection.Reason);
            }
        };
        source.Clr.GCAllocationTick += tick => Interlocked.Add(ref _allocated, tick.AllocationAmount64);
        source.Process();
    }
}
