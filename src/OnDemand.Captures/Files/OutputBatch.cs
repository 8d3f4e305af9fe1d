using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace OnDemand.Captures.Files;

/// <summary>
/// Contiguous memory of a pipe that is filled, may be rewritten, and is then sent off at once. Where the pipe can write from the memory
/// of a reader, records that stay in that reader's order are not copied but lent; they come between two stretches of own memory.
/// </summary>
internal sealed class OutputBatch(PipeWriter output, int capacity)
{
    private readonly WriteBehind? _borrower = output as WriteBehind;
    private CaptureReader? _lender;
    private Memory<byte> _memory;
    private int _before;    // octets since the last flush that came before the memory

    /// <summary>How many octets were appended to the memory that <see cref="Written"/> shows.</summary>
    public int Length { get; private set; }

    /// <summary>How many octets were appended since the last flush.</summary>
    public int UnflushedLength => _before + Length;

    /// <summary>What was appended since the last flush or lent record.</summary>
    public Span<byte> Written => _memory.Span[..Length];

    /// <summary>Records of a reader may be lent from now on, if the pipe can take them.</summary>
    public void LendFrom(CaptureReader lender) => _lender = _borrower is null ? null : lender;

    /// <summary>Appends octets without copying them, if they are in the lender's memory.</summary>
    /// <param name="octets">The octets.</param>
    /// <param name="lent">The same, to be changed until the next flush.</param>
    /// <returns>Whether they were appended.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryLend(ReadOnlySpan<byte> octets, out Span<byte> lent)
    {
        lent = default;
        if (_lender?.Block is not { } block || !block.Octets.AsSpan().Overlaps(octets, out int start))
        {
            return false;
        }

        SetAside();
        _borrower!.Lend(block, start, octets.Length);
        _before += octets.Length;
        lent = block.Octets.AsSpan(start, octets.Length);
        return true;
    }

    /// <summary>Appends octets of the lender's block without copying them, if there is a lender.</summary>
    /// <param name="start">Where they begin in the block.</param>
    /// <param name="length">How many.</param>
    /// <returns>Whether they were appended.</returns>
    public bool TryLend(int start, int length)
    {
        if (_lender?.Block is not { } block)
        {
            return false;
        }

        SetAside();
        _borrower!.Lend(block, start, length);
        _before += length;
        return true;
    }

    /// <summary>Appends room whose content is undefined and must be filled.</summary>
    /// <param name="length">Octets to append.</param>
    /// <returns>The room; valid until the next call.</returns>
    public Span<byte> Append(int length)
    {
        int end = checked(Length + length);
        if (end > _memory.Length)
        {
            Grow(end);
        }

        Span<byte> room = _memory.Span[Length..end];
        Length = end;
        return room;
    }

    /// <summary>Sends off what was appended.</summary>
    /// <returns>Whether anyone still reads the output.</returns>
    public ValueTask<bool> FlushAsync(CancellationToken cancellationToken)
    {
        SetAside();
        _before = 0;
        ValueTask<FlushResult> flushing = output.FlushAsync(cancellationToken);
        return flushing.IsCompletedSuccessfully ? ValueTask.FromResult(!flushing.Result.IsCompleted) : AwaitAsync(flushing);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private static async ValueTask<bool> AwaitAsync(ValueTask<FlushResult> flushing)
    {
        FlushResult result = await flushing.ConfigureAwait(false);
        return !result.IsCompleted;
    }

    private void Grow(int needed)
    {
        if (Length == 0)
        {
            // Between two lent records the rest of what the pipe gave before will do.
            _memory = output.GetMemory(_before > 0 ? needed : Math.Max(capacity, needed));
            return;
        }

        int wanted = (int)Math.Clamp(2L * _memory.Length, Math.Max(capacity, needed), Array.MaxLength);

        // The pipe may hand out again what it handed out before, so the octets step aside.
        byte[] aside = ArrayPool<byte>.Shared.Rent(Length);
        int length = Length;
        Written.CopyTo(aside);
        _memory = output.GetMemory(wanted);
        aside.AsSpan(0, length).CopyTo(_memory.Span);
        ArrayPool<byte>.Shared.Return(aside);
    }

    // Hands the own memory over, as far as it is filled.
    private void SetAside()
    {
        if (Length > 0)
        {
            output.Advance(Length);
            _before += Length;
            Length = 0;
        }

        _memory = default;
    }
}
