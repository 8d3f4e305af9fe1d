using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace OnDemand.Captures.Files;

/// <summary>Contiguous memory of a pipe that is filled, may be rewritten, and is then sent off at once.</summary>
internal sealed class OutputBatch(PipeWriter output, int capacity)
{
    private Memory<byte> _memory;

    /// <summary>How many octets were appended since the last flush.</summary>
    public int Length { get; private set; }

    /// <summary>What was appended since the last flush.</summary>
    public Span<byte> Written => _memory.Span[..Length];

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

    /// <summary>Takes back what was appended last.</summary>
    /// <param name="length">What <see cref="Length"/> was before; not more than it is.</param>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)Length);
        Length = length;
    }

    /// <summary>Sends off what was appended.</summary>
    /// <returns>Whether anyone still reads the output.</returns>
    public ValueTask<bool> FlushAsync(CancellationToken cancellationToken)
    {
        output.Advance(Length);
        _memory = default;
        Length = 0;
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
        int wanted = (int)Math.Clamp(2L * _memory.Length, Math.Max(capacity, needed), Array.MaxLength);
        if (Length == 0)
        {
            _memory = output.GetMemory(wanted);
            return;
        }

        // The pipe may hand out again what it handed out before, so the octets step aside.
        byte[] aside = ArrayPool<byte>.Shared.Rent(Length);
        int length = Length;
        Written.CopyTo(aside);
        _memory = output.GetMemory(wanted);
        aside.AsSpan(0, length).CopyTo(_memory.Span);
        ArrayPool<byte>.Shared.Return(aside);
    }
}
