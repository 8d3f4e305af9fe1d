using System.Globalization;
using OnDemand.Linux.Policy;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>Policy by user, commands with a type, and SIGHUP, on real sockets.</summary>
public sealed class LivePolicyTests
{
    private const string Network = """
        internal: [fd00:a::2]
        seed: 5
        network:
          - at: 0s
            attach: ar1
            prefixes:
              - {prefix: "2001:db8:a1::/64", type: nonpersistent}
              - {prefix: "2001:db8:a2::/64", type: session-lasting}
              - {prefix: "2001:db8:a3::/64", type: graceful-replacement}

        """;

    [Fact]
    public void Each_socket_has_the_type_of_its_command_or_its_user_and_a_new_policy_is_for_new_ones()
    {
        Assert.SkipWhen(CgroupMount.Find() is null, "No cgroup hierarchy of version 2 is mounted here.");
        using var lab = new RoutedLab();
        string map = lab.HostMap();
        LabProgram run = lab.Run(Network + "policy: {default: nonpersistent, rules: [{user: 4242, type: session-lasting}]}\n" + map);
        string command = $"dotnet {Path.Combine(AppContext.BaseDirectory, "ondemand.dll")} exec --tap od0 --type graceful -- ";

        Assert.StartsWith("2001:db8:a1:", Source(lab, string.Empty), StringComparison.Ordinal);
        Assert.StartsWith("2001:db8:a2:", Source(lab, AsUser), StringComparison.Ordinal);
        Assert.StartsWith("2001:db8:a3:", Source(lab, command), StringComparison.Ordinal);
        Assert.StartsWith("2001:db8:a3:", Source(lab, command + AsUser), StringComparison.Ordinal);

        File.WriteAllText(lab.Configuration, Network + "policy: {rules: [{user: no-such-user, type: fixed}]}\n" + map);
        run.Send("HUP");
        run.WaitFor($"ondemand: The policy stays as it is: {lab.Configuration}:10:25: found the unknown user 'no-such-user', expected a user of this host");
        Assert.StartsWith("2001:db8:a2:", Source(lab, AsUser), StringComparison.Ordinal);

        File.WriteAllText(lab.Configuration, Network + "policy: {default: session-lasting, rules: [{user: 7, type: fixed}, {user: 4242, type: nonpersistent}]}\n" + map);
        run.Send("HUP");
        run.WaitFor($"ondemand: The policy of {lab.Configuration} is in force.");
        Assert.StartsWith("2001:db8:a1:", Source(lab, AsUser), StringComparison.Ordinal);
        Assert.StartsWith("2001:db8:a2:", Source(lab, string.Empty), StringComparison.Ordinal);
        Assert.StartsWith("2001:db8:a3:", Source(lab, command), StringComparison.Ordinal);
        Assert.Equal(0, run.End());
    }

    private const string AsUser = "setpriv --reuid 4242 --clear-groups ";

    private static int _port = 20_000;

    // The server says from where a datagram came.
    private static string Source(RoutedLab lab, string before)
    {
        string port = (++_port).ToString(CultureInfo.InvariantCulture);
        LabProgram server = lab.Start(
            lab.ServerName, "python3", "-c",
            $"import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(('::', {port})); print('ready', flush=True); m, a = s.recvfrom(99); s.sendto(m, a); print('from ' + a[0], flush=True)");
        server.WaitFor("ready");
        lab.Host($"{before}bash -c 'exec 3<>/dev/udp/{RoutedLab.Server}/{port} && echo x >&3 && timeout 30 head -c 1 <&3'");
        server.Wait();
        return server.Said.Split("from ")[1].Trim();
    }
}
