using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace OnDemand.Captures.Files;

/// <summary>Reads a capture file of any supported format as a stream, record by record.</summary>
/// <remarks>
/// <para>The octets of the input are gathered in a block of the reader's own, so that a record is contiguous however the input comes
/// in pieces; a file is read straight into such blocks. The block doubles only when it is full of octets that arrived and still holds no whole
/// record; a length that a file claims never takes memory by itself. A writer may hold a block for longer; then the reader takes another
/// one, and only what was not parsed yet moves over.</para>
/// <para>Use: while ReadAsync says true, take records with TryRead until it says false; then look at <see cref="Damage"/>.</para>
/// </remarks>
public sealed class CaptureReader : IAsyncDisposable
{
    private const int MagicLength = 4;

    private readonly PipeReader? _input;
    private readonly ReadAheadFile? _file;  // in place of a pipe
    private readonly CaptureReaderOptions _options;
    private readonly BlockPool _pool;
    private CaptureParser? _parser;
    private Block _block;
    private byte[] _buffer;  // the block's
    private int _start;      // the first octet not yet parsed
    private int _end;        // one past the last octet read
    private bool _inputEnded;

    private CaptureReader(PipeReader? input, FileStream? file, CaptureReaderOptions options)
    {
        options.Validate();
        _input = input;
        _options = options;
        _pool = new BlockPool(options.BufferLength);
        _file = file is null ? null : new ReadAheadFile(file, _pool, options.BufferLength);
        _block = _pool.Rent(options.BufferLength);
        _buffer = _block.Octets;
    }

    /// <summary>The format of the file. Known as soon as ReadAsync said true for the first time.</summary>
    /// <exception cref="InvalidOperationException">Nothing was read yet, or the input is no capture.</exception>
    public CaptureFormat Format =>
        _parser?.Format ?? throw new InvalidOperationException("The format of a capture is known once its first record was read.");

    /// <summary>The interfaces described by the records taken so far, over all sections.</summary>
    public IReadOnlyList<CaptureInterface> Interfaces => _parser?.Interfaces ?? [];

    /// <summary>Where the next record begins, in octets from the start of the file.</summary>
    public long Position { get; private set; }

    /// <summary>What is wrong with the file at <see cref="Position"/>; null while nothing is. Final once ReadAsync said false.</summary>
    public CaptureDamage? Damage { get; private set; }

    /// <summary>What the records that TryRead gives are in.</summary>
    internal Block Block => _block;

    /// <summary>Where in <see cref="Block"/> the next record begins.</summary>
    internal int PlaceInBlock => _start;

    private ReadOnlySpan<byte> Window => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Reads a capture from a pipe, which the reader owns from now on.</summary>
    /// <param name="input">The octets of the file.</param>
    /// <param name="options">How much memory may be taken; null for the defaults.</param>
    /// <returns>The reader; nothing was read yet.</returns>
    public static CaptureReader Create(PipeReader input, CaptureReaderOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new CaptureReader(input, file: null, options ?? new CaptureReaderOptions());
    }

    /// <summary>Reads a capture from a file or from standard input, which the reader owns from now on.</summary>
    /// <param name="input">The octets of the file. A file that was not opened for asynchronous use is read when it is asked for, by the
    /// thread that asks.</param>
    /// <param name="options">How much memory may be taken; null for the defaults.</param>
    /// <returns>The reader; nothing was read yet.</returns>
    public static CaptureReader Create(Stream input, CaptureReaderOptions? options = null)
    {
        options ??= new CaptureReaderOptions();
        return input is FileStream { CanSeek: true, IsAsync: false } file
            ? new CaptureReader(input: null, file, options)
            : Create(PipeReader.Create(input, new StreamPipeReaderOptions(bufferSize: options.BufferLength)), options);
    }

    /// <summary>Waits until a whole record is there for TryRead. Invalidates all records taken before.</summary>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>Whether a record is there, or damage is about to be found; false at the end of the file and after
    /// <see cref="Damage"/>.</returns>
    public ValueTask<bool> ReadAsync(CancellationToken cancellationToken = default)
    {
        // While the input has octets at hand no state machine is needed.
        bool answer;
        while (!TryAnswer(out answer))
        {
            if (_file is not null)
            {
                cancellationToken.ThrowIfCancellationRequested();
                TakeFromFile(_file);
                continue;
            }

            MakeRoom();
            ValueTask<ReadResult> reading = _input!.ReadAsync(cancellationToken);
            if (!reading.IsCompletedSuccessfully)
            {
                return AwaitAsync(reading, cancellationToken);
            }

            Take(reading.Result);
        }

        return ValueTask.FromResult(answer);
    }

    /// <summary>Takes the next record from what was read.</summary>
    /// <param name="record">The record; valid until the next ReadAsync.</param>
    /// <returns>Whether there was a whole and sound one; when not, ReadAsync tells what comes.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public bool TryRead(out CaptureRecord record)
    {
        record = default;
        if (_parser is null || Damage is not null)
        {
            return false;
        }

        int length = _parser.Parse(Window, Position, out record);
        if (length == 0)
        {
            Damage = _parser.Damage;
            return false;
        }

        _start += length;
        Position += length;
        return true;
    }

    /// <summary>Looks at a packet that <see cref="TryRead"/> has not come to yet, in what was read.</summary>
    /// <param name="ahead">Octets of records to be passed by; afterwards those of this one too.</param>
    /// <param name="record">The packet.</param>
    /// <returns>Whether there is a whole and sound one.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal bool TryPeek(ref int ahead, out CaptureRecord record)
    {
        record = default;
        ReadOnlySpan<byte> window = Window[ahead..];
        if (_parser is null || Damage is not null || !_parser.IsAtPacket(window))
        {
            return false;
        }

        int length = _parser.Parse(window, Position + ahead, out record);
        if (length == 0)
        {
            _parser.ForgetDamage();   // until it is its turn
            return false;
        }

        ahead += length;
        return true;
    }

    /// <summary>Goes on behind records that were looked at.</summary>
    /// <param name="length">Their octets, as <see cref="TryPeek"/> says.</param>
    internal void Skip(int length)
    {
        _start += length;
        Position += length;
    }

    /// <summary>Reads a part of a file ahead, for a thread that has nothing else to do. May be called while records are taken.</summary>
    /// <returns>Whether there was something to read.</returns>
    internal bool TryReadAhead() => _file?.TryReadAhead() ?? false;

    /// <summary>Gives the input back.</summary>
    /// <returns>When that is done.</returns>
    public ValueTask DisposeAsync() => _file?.DisposeAsync() ?? _input!.CompleteAsync();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> AwaitAsync(ValueTask<ReadResult> reading, CancellationToken cancellationToken)
    {
        Take(await reading.ConfigureAwait(false));
        bool answer;
        while (!TryAnswer(out answer))
        {
            MakeRoom();
            Take(await _input!.ReadAsync(cancellationToken).ConfigureAwait(false));
        }

        return answer;
    }

    // Whether more octets would make no difference to the answer of ReadAsync.
    private bool TryAnswer(out bool answer)
    {
        answer = false;
        if (Damage is not null)
        {
            return true;
        }

        int needed = Measure();   // may find that the file is no capture
        answer = Damage is null && _end - _start >= needed;
        if (answer || Damage is not null)
        {
            return true;
        }

        if (_inputEnded)
        {
            Damage = JudgeEnd();
        }

        return _inputEnded;
    }

    private int Measure()
    {
        if (_parser is null && _end - _start >= MagicLength)
        {
            Recognize(Window);
        }

        return _parser is null ? MagicLength : _parser.Measure(Window);
    }

    private void Recognize(ReadOnlySpan<byte> window)
    {
        foreach (ByteOrder order in (ReadOnlySpan<ByteOrder>)[new ByteOrder(IsBigEndian: false), new ByteOrder(IsBigEndian: true)])
        {
            uint magic = order.ReadUInt32(window);
            if (magic == PcapNg.SectionHeader)
            {
                _parser = new PcapNgParser(_options);
                return;
            }

            if (Pcap.TryGetFormat(magic, out CaptureFormat format))
            {
                _parser = new PcapParser(format, order, _options);
                return;
            }
        }

        Damage = Damages.NotACapture(window[..MagicLength]);
    }

    private CaptureDamage? JudgeEnd() =>
        _parser is not null ? _parser.JudgeEnd(Window, Position) : _end == _start ? Damages.Empty : Damages.MagicCutShort;

    // At least one octet of room behind what was read. What is in a block that a writer still holds stays there.
    private void MakeRoom()
    {
        bool full = _end - _start == _buffer.Length;
        if (full || (_start > 0 && _block.IsShared))
        {
            bool isLong = _end - _start >= _options.BufferLength;
            Block next = _pool.Rent(full ? (int)Math.Min(2L * _buffer.Length, Array.MaxLength) : isLong ? _buffer.Length : 0);
            Window.CopyTo(next.Octets);
            _block.Release();
            _block = next;
            _buffer = next.Octets;
        }
        else if (_start > 0)
        {
            Window.CopyTo(_buffer);
        }

        _end -= _start;
        _start = 0;
    }

    // The next part goes behind what was not parsed yet: usually that is a cut record, which moves before the part.
    private void TakeFromFile(ReadAheadFile file)
    {
        ReadAheadFile.Part part = file.Take();
        int left = _end - _start;
        if (left <= file.Headroom)
        {
            Window.CopyTo(part.Block.Octets.AsSpan(part.Start - left));
            _block.Release();
            _block = part.Block;
            _buffer = part.Block.Octets;
            _start = part.Start - left;
            _end = part.Start + part.Length;
        }
        else
        {
            if (_buffer.Length - _end < part.Length)
            {
                Gather(left + part.Length);
            }

            part.Block.Octets.AsSpan(part.Start, part.Length).CopyTo(_buffer.AsSpan(_end));
            part.Block.Release();
            _end += part.Length;
        }

        _inputEnded = part.Length == 0;
    }

    // What was not parsed yet moves to the beginning of a block where all that arrived fits.
    private void Gather(int length)
    {
        Block next = _pool.Rent(length <= _buffer.Length ? _buffer.Length : (int)Math.Min(2L * _buffer.Length, Array.MaxLength));
        Window.CopyTo(next.Octets);
        _block.Release();
        _block = next;
        _buffer = next.Octets;
        _end -= _start;
        _start = 0;
    }

    private void Take(ReadResult result)
    {
        if (result.IsCanceled)
        {
            _input!.AdvanceTo(result.Buffer.Start);
            throw new OperationCanceledException("The reading of the capture was canceled.");
        }

        long available = result.Buffer.Length;
        int taken = (int)Math.Min(available, _buffer.Length - _end);
        ReadOnlySequence<byte> octets = result.Buffer.Slice(0, taken);
        octets.CopyTo(_buffer.AsSpan(_end));
        _end += taken;
        _inputEnded = result.IsCompleted && taken == available;
        _input!.AdvanceTo(octets.End);
    }
}
