using Xunit;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>The header and the shared library as another program meets them.</summary>
public sealed class HeaderTests
{
    private const string Program = """
        #include <setsc.h>
        #include <setsc.h>
        int main(void)
        {
            struct in6_addr address;
            struct setsc_options options;
            int flags = IPV6_REQUIRE_SRC_ON_NET | IPV6_REQUIRE_HOME_ANCHORED | IPV6_REQUIRE_ACCESS_ANCHORED | IPV6_REQUIRE_UNANCHORED;
            sc_type type = FIXED_IPV6_ADDRESS;
            options.size = sizeof options;
            options.flags = SETSC_ON_NET | SETSC_MAP;
            options.timeout = 0;
            if (setsc_setsockopt(0, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &flags, (socklen_t)sizeof flags) != 0) {
                return 1;
            }

            switch (setsc(0, &address, type)) {
            case EAI_REQUIREDIPNOTSUPPORTED: case EAI_REQUIREDIPFAILED: return 2;
            default: break;
            }

            return setsc_opts(0, &address, SESSION_LASTING_IPV6_ADDRESS, &options) + setsc_timeout(0, &address, NON_PERSISTENT_IPV6_ADDRESS, 5)
                + setsc_map(0, &address, GRACEFUL_REPLACEMENT_IPV6_ADDRESS) + setsc_release(0) + (setsc_strerror(0) == NULL);
        }
        """;

    [Theory]
    [InlineData("gcc", "a.c", "-std=c89")]
    [InlineData("gcc", "a.c", "-std=c99")]
    [InlineData("gcc", "a.c", "-std=c11")]
    [InlineData("gcc", "a.c", "-std=gnu17", "-D_GNU_SOURCE")]
    [InlineData("g++", "a.cc", "-std=c++98")]
    [InlineData("g++", "a.cc", "-std=c++20")]
    public void The_header_compiles_without_a_warning(string compiler, string file, params string[] arguments)
    {
        Assert.SkipUnless(CPrograms.Exists(compiler), $"{compiler} is not installed.");

        Assert.Equal("", CPrograms.Compile(compiler, file, Program, [.. arguments, "-Wall", "-Wextra", "-Werror", "-pedantic"]));
    }

    [Theory]
    [InlineData("#include <linux/in6.h>\n#include <setsc.h>\n")]
    [InlineData("#include <netinet/in.h>\n#include <linux/in6.h>\n#include <netdb.h>\n#include <setsc.h>\n")]
    public void The_header_gets_on_with_the_kernels_own(string includes)
    {
        Assert.SkipUnless(CPrograms.Exists("gcc"), "gcc is not installed.");

        Assert.Equal("", CPrograms.Compile("gcc", "a.c", includes + "int preferences = IPV6_ADDR_PREFERENCES;\n", "-Wall", "-Werror"));
    }

    [Fact]
    public void The_library_shows_its_functions_and_nothing_else()
    {
        string library = CPrograms.Find("libsetsc.so.1");
        (int status, string output) = CPrograms.Run("nm", "-D", "--defined-only", library);

        Assert.Equal(0, status);
        Assert.Equal(
            ["setsc", "setsc_getsockopt", "setsc_map", "setsc_opts", "setsc_release", "setsc_setsockopt", "setsc_strerror", "setsc_timeout"],
            output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')[^1]).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void What_is_installed_is_enough_to_build_a_program()
    {
        string output = Path.GetDirectoryName(CPrograms.Find("libsetsc.so"))!;
        string place = Directory.CreateTempSubdirectory("setsc-install-").FullName;
        try
        {
            (int status, string said) = CPrograms.Run(
                "make", "-s", "-C", CPrograms.Source, "CC=gcc", "OUT=" + output, "DESTDIR=" + place, "PREFIX=/usr", "install");
            Assert.True(status == 0, said);
            string source = Path.Combine(place, "a.c");
            File.WriteAllText(source, Program);
            (status, said) = CPrograms.Run("gcc", source, $"-I{place}/usr/include", $"-L{place}/usr/lib", "-lsetsc", "-o", Path.Combine(place, "a"));

            Assert.True(status == 0, said);
            Assert.Contains("libdir=/usr/lib\n", File.ReadAllText(Path.Combine(place, "usr/lib/pkgconfig/setsc.pc")), StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(place, true);
        }
    }
}
