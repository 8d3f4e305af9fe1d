namespace OnDemand.Captures.Files;

/// <summary>
/// Memory that is read into, rewritten in place and written from without being copied in between. Whoever uses it holds it; when nobody
/// does any more, it goes back to its pool.
/// </summary>
internal sealed class Block
{
    private readonly BlockPool _pool;
    private int _holders = 1;

    public Block(BlockPool pool, int length)
    {
        _pool = pool;
        Octets = GC.AllocateUninitializedArray<byte>(length);
    }

    /// <summary>The memory.</summary>
    public byte[] Octets { get; }

    /// <summary>Whether somebody else than the caller, who holds it, may still use what is in it.</summary>
    public bool IsShared => Volatile.Read(ref _holders) > 1;

    /// <summary>One more holds it.</summary>
    public void Hold() => Interlocked.Increment(ref _holders);

    /// <summary>One of its holders does not need it any more, and must not touch it again.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
        {
            _pool.Return(this);
        }
    }

    /// <summary>Out of the pool again, with the caller as its only holder.</summary>
    public void Renew() => Volatile.Write(ref _holders, 1);
}
