using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;
using OnDemand.Linux.Run;

namespace OnDemand.Linux.Tests.Control;

/// <summary>A dataplane without a TAP: an engine on a thread of its own, to which commands come as to the real one.</summary>
internal sealed class FakeDataplane : IDataplaneControl, IAttachmentControl, IAsyncDisposable
{
    public const string Configuration =
        """
        seed: 42
        internal: [fd00:db8::1]
        network:
          - {at: 0s, attach: ar1, prefixes: [{prefix: 2001:db8:a1:1::/64, type: nonpersistent}]}
        policy:
          default: legacy
          rules:
            - {protocol: tcp, type: session-lasting}
            - {remote-port: 1000, type: graceful-replacement}
            - {remote-port: 2000, type: nonpersistent}
        """;

    public static readonly IpAddress Host = IpAddress.Parse("fd00:db8::1");
    public static readonly IpAddress Server = IpAddress.Parse("2001:db8:c::1");

    private readonly BlockingCollection<Action> _commands = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly DataplaneEngine _engine;
    private ulong _attachment;

    public FakeDataplane(string configuration = Configuration)
    {
        Scenario = ScenarioReader.Parse("test.yaml", Encoding.UTF8.GetBytes(configuration));
        _engine = new DataplaneEngine(Scenario.BuildOptions(), Clock());
        new Thread(Work) { IsBackground = true, Name = "engine" }.Start();
    }

    public Scenario Scenario { get; set; }

    public string? Current { get; private set; }

    public Timestamp Since { get; private set; } = Clock();

    public long Moves { get; private set; }

    public bool UplinkUp { get; set; } = true;

    /// <summary>Commands that were carried out.</summary>
    public int Commands { get; private set; }

    /// <summary>What would be counted at the TAP.</summary>
    public ShellCounters Shell { get; } = new();

    /// <summary>While this is set, nothing is carried out.</summary>
    public ManualResetEventSlim Running { get; } = new(initialState: true);

    /// <summary>What the host's network refuses to take, as the real one may.</summary>
    public string? Refusal { get; set; }

    public Task<T> RunAsync<T>(Func<ControlContext, T> work, CancellationToken cancellationToken = default)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            _commands.Add(
                () =>
                {
                    try
                    {
                        Timestamp now = Clock();
                        _engine.Advance(now);
                        Commands++;
                        done.TrySetResult(work(new ControlContext(_engine, this, Shell, now)));
                    }
                    catch (Exception failed)
                    {
                        done.TrySetException(failed);
                    }
                },
                CancellationToken.None);
        }
        catch (InvalidOperationException)
        {
            throw new InvalidOperationException("The dataplane is shutting down.");
        }

        return done.Task.WaitAsync(cancellationToken);
    }

    public void Attach(string name, ReadOnlySpan<PrefixAdvertisement> prefixes, Duration? window, Timestamp now)
    {
        if (Refusal is { } sentence)
        {
            throw new HostException(sentence);
        }

        _engine.Attach(++_attachment, prefixes, window, now);
        (Current, Since, Moves) = (name, now, Moves + 1);
    }

    public void Detach(Timestamp now)
    {
        _engine.Detach(now);
        (Current, Since) = (null, now);
    }

    public bool Withdraw(IpPrefix prefix, Duration window, Timestamp now) => _engine.Withdraw(prefix, window, now);

    /// <summary>The host sends datagrams from ports that follow one another, or opens connections.</summary>
    public Task SendAsync(byte protocol, int firstPort, int count, ushort remotePort) => RunAsync(context =>
    {
        for (int i = 0; i < count; i++)
        {
            byte[] frame = Frame(protocol, (ushort)(firstPort + i), remotePort);
            context.Engine.HandleOutbound(frame, new FrameInfo(0, false, 0), context.Now);
        }

        return count;
    });

    public async ValueTask DisposeAsync()
    {
        Running.Set();
        _commands.CompleteAdding();
        await _ended.Task;
        _commands.Dispose();
        Running.Dispose();
    }

    /// <summary>No more commands are taken, as when the real one drains.</summary>
    public void ShutDown() => _commands.CompleteAdding();

    private static Timestamp Clock() => new((DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100);

    private static byte[] Frame(byte protocol, ushort localPort, ushort remotePort)
    {
        int upper = protocol == IpProtocol.Tcp ? 20 : 8;
        byte[] frame = new byte[40 + upper];
        frame[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(4), (ushort)upper);
        frame[6] = protocol;
        frame[7] = 64;
        Host.Write(frame.AsSpan(8));
        Server.Write(frame.AsSpan(24));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(40), localPort);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(42), remotePort);
        if (protocol == IpProtocol.Tcp)
        {
            frame[52] = 5 << 4;
            frame[53] = 2;   // SYN
            frame[56] = 1;   // some checksum
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(44), (ushort)upper);
            frame[46] = 1;
        }

        return frame;
    }

    private void Work()
    {
        foreach (Action command in _commands.GetConsumingEnumerable())
        {
            Running.Wait();
            command();
        }

        _ended.SetResult();
    }
}
