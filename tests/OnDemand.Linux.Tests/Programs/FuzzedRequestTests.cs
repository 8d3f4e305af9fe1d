using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using Microsoft.AspNetCore.Http;
using OnDemand.Linux.Control;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Rights;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>Requests at random; alone, for the memory is measured that they leave.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class FuzzedRequestGroup
{
    public const string Name = "fuzzed requests";
}

[Collection(FuzzedRequestGroup.Name)]
[SupportedOSPlatform("linux")]
public sealed class FuzzedRequestTests
{
    private const int UsualMessages = 1_000_000;

    private static readonly string[] Good =
    [
        """{"fd": 7, "type": "session-lasting", "on-net": true, "map": false, "timeout": 10}""",
        """{"cookie": "1234", "type": 2, "preferences": ["public", "home"]}""",
        """{"flow": {"protocol": "tcp", "local": "[fd00:a::2]:1033", "remote": "[2001:db8::1]:443"}, "type": "IPV6_REQUIRE_FIXED_IP"}""",
    ];

    [Fact]
    public async Task Random_and_mutated_messages_have_no_effect_that_their_words_do_not_have()
    {
        int messages = int.TryParse(Environment.GetEnvironmentVariable("ONDEMAND_FUZZ_FRAMES"), out int told) ? told : UsualMessages;
        var services = new FakeServices();
        using var requests = new SocketRequests(
            services, new FakeLookup(), RightsConfig.Unlimited, null, () => FakeServices.Now, TimeProvider.System);
        var endpoints = new ProgramEndpoints(requests, isForOperators: false);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var asker = new PeerProcess(new PeerCredentials(Environment.ProcessId, 234, 234), socket.SafeHandle);
        var random = new Random(8653);
        var clock = Stopwatch.StartNew();
        int granted = 0;
        long before = 0;
        for (int i = 0; i < messages; i++)
        {
            if (i == messages / 2)
            {
                before = GC.GetTotalMemory(forceFullCollection: true);
            }

            byte[] body = Message(random, i);
            (int status, string answer) = await AskAsync(endpoints, asker, body);

            Assert.True(status is 200 or 400 or 403 or 404, $"{status} {answer} to {Encoding.Latin1.GetString(body)}");
            granted += status == 200 ? 1 : 0;
        }

        // Whatever was granted is the asker's own: his only socket.
        Assert.All(services.List(null), binding => Assert.Equal(234u, binding.User));
        Assert.InRange(services.List(null).Count, 0, 1);
        Assert.Equal(granted, services.Requests);
        long grown = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.InRange(grown, long.MinValue, 1 << 20);
        TestContext.Current.TestOutputHelper?.WriteLine($"{messages} messages, {granted} granted, in {clock.Elapsed.TotalSeconds:0.0} s");
    }

    // A third as they are or nearly so, a third with octets changed, a third of words in any order.
    private static byte[] Message(Random random, int i)
    {
        byte[] good = Encoding.UTF8.GetBytes(Good[random.Next(Good.Length)]);
        if (i % 3 == 0)
        {
            for (int change = random.Next(3); change > 0; change--)
            {
                good[random.Next(good.Length)] = (byte)random.Next(256);
            }

            return good[..(i % 5 == 0 ? random.Next(good.Length) : good.Length)];
        }

        if (i % 3 == 1)
        {
            byte[] noise = new byte[random.Next(64)];
            random.NextBytes(noise);
            return noise;
        }

        string[] words =
        [
            "{", "}", "[", "]", ",", ":", "\"fd\"", "\"cookie\"", "\"flow\"", "\"type\"", "\"timeout\"", "\"preferences\"", "\"fixed\"",
            "\"1234\"", "1234", "0", "-1", "5", "7", "1e9", "true", "null", "\"\\ud800\"", "\"[::1]:1\"", "\"]:\"", "\"[\"", "99999999999999999999",
        ];
        return Encoding.UTF8.GetBytes("{\"cookie\":" + string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => words[random.Next(words.Length)])));
    }

    private static async Task<(int Status, string Answer)> AskAsync(ProgramEndpoints endpoints, PeerProcess asker, byte[] body)
    {
        var http = new DefaultHttpContext();
        http.Features.Set(asker);
        http.Request.Method = "POST";
        http.Request.Path = "/v1/setsc";
        using var input = new MemoryStream(body);
        using var output = new MemoryStream();
        http.Request.Body = input;
        http.Response.Body = output;
        await ProblemResponses.Guard(http, endpoints.SetAsync);
        return (http.Response.StatusCode, Encoding.UTF8.GetString(output.ToArray()));
    }
}
