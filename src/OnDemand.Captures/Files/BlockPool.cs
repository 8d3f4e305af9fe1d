namespace OnDemand.Captures.Files;

/// <summary>Blocks of one length that are used again and again. May be used by several threads.</summary>
internal sealed class BlockPool(int length)
{
    private const int MostKept = 12;   // more than are ever under way

    private readonly Stack<Block> _free = new();

    /// <summary>Takes a block of any content.</summary>
    /// <param name="needed">Octets that must fit; one of a greater length than usual is not kept.</param>
    /// <returns>The block, held by the caller.</returns>
    public Block Rent(int needed)
    {
        if (needed <= length)
        {
            lock (_free)
            {
                if (_free.TryPop(out Block? block))
                {
                    block.Renew();
                    return block;
                }
            }
        }

        return new Block(this, Math.Max(needed, length));
    }

    /// <summary>Takes back a block that nobody holds.</summary>
    public void Return(Block block)
    {
        lock (_free)
        {
            if (block.Octets.Length == length && _free.Count < MostKept)
            {
                _free.Push(block);
            }
        }
    }
}
