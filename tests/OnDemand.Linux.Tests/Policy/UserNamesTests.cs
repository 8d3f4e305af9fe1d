using System.Diagnostics;
using System.Globalization;
using OnDemand.Linux.Policy;
using Xunit;

namespace OnDemand.Linux.Tests.Policy;

public sealed class UserNamesTests
{
    [Fact]
    public void Every_user_of_the_host_has_the_numbers_and_groups_that_id_says()
    {
        string[] names = [.. File.ReadLines("/etc/passwd").Select(line => line.Split(':')[0]).Where(name => name.Length > 0 && name[0] != '#').Take(8)];
        Assert.Contains("root", names);
        foreach (string name in names)
        {
            uint user = Assert.NotNull(UserNames.UserOf(name));

            Assert.Equal(Id("-u", name), user.ToString(CultureInfo.InvariantCulture));
            Assert.Equal(Sorted(Id("-G", name).Split(' ')), Sorted(UserNames.GroupsOf(user).Select(group => group.ToString(CultureInfo.InvariantCulture))));
            Assert.Equal(name, UserNames.NameOf(user));
        }
    }

    [Fact]
    public void A_number_is_itself_whether_or_not_somebody_has_it()
    {
        Assert.Equal(4_294_967_294u, UserNames.UserOf("4294967294"));
        Assert.Equal(0u, UserNames.GroupOf("0"));
        Assert.Empty(UserNames.GroupsOf(4_294_967_294));
        Assert.Null(UserNames.NameOf(4_294_967_294));
    }

    [Fact]
    public void Who_is_not_there_has_no_number()
    {
        Assert.Null(UserNames.UserOf("nobody-of-this-name"));
        Assert.Null(UserNames.GroupOf("nobody-of-this-name"));
        Assert.Equal(0u, UserNames.UserOf("root"));
        Assert.Equal(0u, UserNames.GroupOf("root"));
    }

    private static IEnumerable<string> Sorted(IEnumerable<string> groups) => groups.Distinct().Order(StringComparer.Ordinal);

    private static string Id(string option, string name)
    {
        using Process id = Process.Start(new ProcessStartInfo("id", [option, name]) { RedirectStandardOutput = true })!;
        string said = id.StandardOutput.ReadToEnd().Trim();
        id.WaitForExit();
        return said;
    }
}
