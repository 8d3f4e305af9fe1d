using OnDemand.Captures.Recording;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Run;

/// <summary>
/// What the configuration makes happen by time: events of the network and requests of programs. It is the replay's timetable, with the run's
/// start for the first packet; what the network answers is its provider's affair.
/// </summary>
/// <param name="scenario">The configuration.</param>
/// <param name="engine">The way to the engine.</param>
/// <param name="attachments">Where moves go.</param>
/// <param name="start">When the run began.</param>
/// <param name="observer">Watches; null for nobody.</param>
internal sealed class HostTimetable(
    Scenario scenario, EngineDrive engine, AttachmentControl attachments, Timestamp start, IDataplaneObserver? observer)
{
    private readonly ReplaySchedule _schedule = new(scenario, start);

    /// <summary>When something is next to happen; <see cref="Timestamp.Never"/> if nothing is.</summary>
    public Timestamp Next => _schedule.Next;

    /// <summary>Lets the next thing happen.</summary>
    /// <param name="now">The time; not before <see cref="Next"/>.</param>
    public void PerformNext(Timestamp now)
    {
        ScheduledAction action = _schedule.Take();
        if (action.Network is { } happens)
        {
            attachments.Perform(happens, now);
        }
        else if (action.Socket is { } socket)
        {
            Perform(socket, action.Closes, now);
        }
    }

    private void Perform(SocketRequest socket, bool closes, Timestamp now)
    {
        IpAddress inside = socket.Internal ?? IpAddress.Unspecified;
        if (closes)
        {
            observer?.OnClose(socket.Protocol, inside, socket.LocalPort, now);
            engine.CloseSocket(socket.Protocol, inside, socket.LocalPort, now);
            return;
        }

        var request = new SetscRequest
        {
            Protocol = socket.Protocol,
            Internal = inside,
            LocalPort = socket.LocalPort,
            Type = socket.Type,
            Prefix = socket.Prefix,
            OnNet = socket.OnNet,
            Preferences = socket.Preferences,
        };
        observer?.OnRequest(request, now);
        engine.Handle(request, now);
    }
}
