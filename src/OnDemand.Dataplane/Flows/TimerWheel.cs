namespace OnDemand.Dataplane.Flows;

/// <summary>
/// Says which flows may have fallen idle. A packet only writes its flow's time; the flow stays in the slot of its last known deadline
/// and is put into a later one when that slot comes up and it turns out to have lived on. Whether a flow has expired is decided
/// exactly, when a packet meets it; the wheel only gives memory back, a bounded number of flows a call.
/// </summary>
internal sealed class TimerWheel
{
    private const int SlotShift = 4;         // ticks in a slot: 16, about a second
    private const int Slots = 16384;         // about four and a half hours; what is due later comes round again

    private readonly int[] _heads = new int[Slots];
    private readonly FlowTable _flows;
    private long _cursor;                    // slot number (not modulo) that is being emptied

    public TimerWheel(FlowTable flows)
    {
        _flows = flows;
        Array.Fill(_heads, -1);
    }

    /// <summary>Puts a flow where it will be looked at not before its deadline.</summary>
    public void Schedule(int id, uint deadline)
    {
        int ahead = (int)(deadline - ((uint)_cursor << SlotShift));
        long slot = _cursor + Math.Clamp((ahead >> SlotShift) + 1L, 1, Slots - 1);
        ref FlowColdEntry cold = ref _flows.Cold(id);
        int at = (int)(slot % Slots);
        int head = _heads[at];
        cold.WheelNext = head;
        cold.WheelPrevious = -2 - at;        // the head remembers its slot
        if (head >= 0)
        {
            _flows.Cold(head).WheelPrevious = id;
        }

        _heads[at] = id;
    }

    public void Unschedule(int id)
    {
        ref FlowColdEntry cold = ref _flows.Cold(id);
        if (cold.WheelNext >= 0)
        {
            _flows.Cold(cold.WheelNext).WheelPrevious = cold.WheelPrevious;
        }

        if (cold.WheelPrevious >= 0)
        {
            _flows.Cold(cold.WheelPrevious).WheelNext = cold.WheelNext;
        }
        else if (cold.WheelPrevious <= -2)
        {
            _heads[-2 - cold.WheelPrevious] = cold.WheelNext;
        }
    }

    /// <summary>Takes one flow out of a slot that has come up.</summary>
    /// <returns>The flow, or -1 if every slot up to now is empty.</returns>
    public int Take(uint now)
    {
        // Ticks begin anew after 32 bits, slots do not. The slot before the cursor's is the earliest that now can lie in.
        long last = _cursor - 1 + ((now - ((uint)(_cursor - 1) << SlotShift)) >> SlotShift);
        if (last - _cursor > Slots)
        {
            _cursor = last - Slots;          // After a long silence each slot is visited once, not once a second.
        }

        while (_cursor <= last)
        {
            int id = _heads[_cursor % Slots];
            if (id >= 0)
            {
                Unschedule(id);
                return id;
            }

            _cursor++;
        }

        return -1;
    }
}
