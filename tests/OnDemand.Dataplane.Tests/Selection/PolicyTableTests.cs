using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Selection;

public sealed class PolicyTableTests
{
    [Theory]
    [Trait("RFC", "6724 §2.1")]
    [InlineData("::1", 50, 0, 0)]
    [InlineData("2001:db8::1", 40, 1, 1)]
    [InlineData("::ffff:192.0.2.1", 35, 4, 4)]
    [InlineData("2002:c633:6401::1", 30, 2, 2)]
    [InlineData("2001:0:1::1", 5, 5, 6)]
    [InlineData("fd00::1", 3, 13, 5)]
    [InlineData("::192.0.2.1", 1, 3, 3)]
    [InlineData("fec0::1", 1, 11, 11)]
    [InlineData("3ffe::1", 1, 12, 12)]
    [InlineData("2001:1f::1", 40, 1, 7)]
    [InlineData("2001:20::1", 40, 1, 1)]
    public void The_tables_of_the_RFC_and_of_Linux_label_an_address(string text, int precedence, int label, int linuxLabel)
    {
        IpAddress address = IpAddress.Parse(text);

        Assert.Equal(
            (precedence, label, linuxLabel),
            (PolicyTable.Default.PrecedenceOf(address), PolicyTable.Default.LabelOf(address), PolicyTable.Linux.LabelOf(address)));
    }

    [Fact]
    public void The_longest_prefix_wins_in_any_table()
    {
        Gen<PolicyTableEntry> entry =
            from bits in Gen.Choose(0, 15)
            from length in Gen.Choose(0, 4)
            from label in Gen.Choose(0, 99)
            select new PolicyTableEntry(new IpPrefix(new IpAddress((ulong)bits << 60, 0), length), label + 1, label);
        Gen<(PolicyTableEntry[] Entries, IpAddress Address)> drawn =
            from entries in Gen.ArrayOf(entry)
            from bits in Gen.Choose(0, 15)
            select (entries.DistinctBy(row => row.Prefix).ToArray(), new IpAddress((ulong)bits << 60, 1));

        Prop.ForAll(Arb.From(drawn), asked =>
        {
            PolicyTableEntry[] containing = [.. asked.Entries.Where(row => row.Prefix.Contains(asked.Address))];
            PolicyTableEntry longest = containing.Length == 0
                ? new PolicyTableEntry(default, 0, PolicyTable.Unlabeled)
                : containing.MaxBy(row => row.Prefix.Length);
            var table = new PolicyTable(asked.Entries);
            return (table.LabelOf(asked.Address), table.PrecedenceOf(asked.Address)) == (longest.Label, longest.Precedence);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void The_rows_are_kept_longest_prefix_first()
    {
        PolicyTableEntry[] rows = PolicyTable.Linux.Entries.ToArray();

        Assert.Equal(10, rows.Length);
        Assert.Equal(rows.OrderByDescending(row => row.Prefix.Length), rows);
    }

    [Fact]
    public void A_table_that_contradicts_itself_is_refused_with_the_prefix_named()
    {
        var row = new PolicyTableEntry(IpPrefix.Parse("2001:db8::/32"), 10, 1);

        Assert.Contains("2001:db8::/32", Refusal(row, row with { Label = 2 }), StringComparison.Ordinal);
        Assert.Contains("negative", Refusal(row with { Label = -1 }), StringComparison.Ordinal);
        Assert.Contains("negative", Refusal(row with { Precedence = -1 }), StringComparison.Ordinal);
        Assert.Contains("1024", Refusal(new PolicyTableEntry[PolicyTable.MaximumEntries + 1]), StringComparison.Ordinal);
    }

    [Fact]
    public void Looking_up_a_label_allocates_nothing()
    {
        IpAddress address = IpAddress.Parse("2001:db8::1");
        int warm = PolicyTable.Linux.LabelOf(address);

        long before = GC.GetAllocatedBytesForCurrentThread();
        int again = PolicyTable.Linux.LabelOf(address);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal((warm, 0L), (again, allocated));
    }

    private static string Refusal(params PolicyTableEntry[] entries) =>
        Assert.Throws<ArgumentException>(() => new PolicyTable(entries)).Message;
}
