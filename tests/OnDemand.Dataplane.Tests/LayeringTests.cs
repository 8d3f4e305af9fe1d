using System.Reflection;
using System.Text.RegularExpressions;
using OnDemand.Dataplane.Tests.Wire.Support;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Dependencies point one way, downwards: Wire sees nothing, Flows and Mobility see Wire, and nobody sees the engine.</summary>
public sealed partial class LayeringTests
{
    private const string Engine = "OnDemand.Dataplane";

    [Theory]
    [InlineData("Wire")]
    [InlineData("Mobility", "Wire", "Flows.ChainIndex", "Flows.FlowHash", "Flows.FlowKey", "Flows.IEntryKey")]
    [InlineData("Flows", "Wire")]
    [InlineData("Selection", "Wire", "Mobility")]
    [InlineData("Control", "Wire", "Mobility", "Selection")]
    public void A_room_uses_only_the_rooms_below_it(string room, params string[] below)
    {
        string[] used = [.. TypesUsedBy(room).Where(type => type.StartsWith(Engine + '.', StringComparison.Ordinal))
            .Select(type => type[(Engine.Length + 1)..]).Where(type => !type.StartsWith(room + '.', StringComparison.Ordinal))];

        // The words of the whole engine, without any behavior that leads upwards.
        string[] words = ["Timestamp", "Duration", "Memory", "FrameInfo", "ForwardReason", "Decision", "DecisionOrigin", "DecisionRemarks",
            "DropReason", "OutputFrame"];
        string[] stray = [.. used.Where(type => !below.Any(one => type == one || type.StartsWith(one + '.', StringComparison.Ordinal)))];
        Assert.Empty(room == "Wire" ? stray : stray.Except(words));
    }

    [Fact]
    public void No_source_file_of_a_room_names_a_room_above_it_in_its_usings()
    {
        string[] order = ["Wire", "Mobility", "Selection", "Control"];
        for (int room = 0; room < order.Length; room++)
        {
            foreach (string file in Directory.EnumerateFiles(Path.Combine(Tools.Root, "src", Engine, order[room]), "*.cs"))
            {
                foreach (Match match in Using().Matches(File.ReadAllText(file)))
                {
                    Assert.DoesNotContain(match.Groups[1].Value, order[(room + 1)..]);
                }
            }
        }
    }

    [Fact]
    public void The_engine_refers_to_nothing_but_the_base_class_library()
    {
        string[] references = [.. typeof(DataplaneEngine).Assembly.GetReferencedAssemblies().Select(name => name.Name!).Order()];

        Assert.Subset(
            new HashSet<string>
            {
                "System.Collections", "System.Linq", "System.Memory", "System.Net.Primitives", "System.Numerics.Vectors", "System.Runtime",
                "System.Runtime.InteropServices", "System.Runtime.Intrinsics", "System.Security.Cryptography",
            },
            references.ToHashSet());
    }

    // Every type that a type of the room has in a signature, a field or the body of a method.
    private static HashSet<string> TypesUsedBy(string room)
    {
        HashSet<string> used = [];
        BindingFlags all =
            BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;
        foreach (Type type in typeof(DataplaneEngine).Assembly.GetTypes())
        {
            if (type.Namespace != $"{Engine}.{room}")
            {
                continue;
            }

            Add(used, type.BaseType);
            Array.ForEach(type.GetInterfaces(), one => Add(used, one));
            Array.ForEach(type.GetFields(all), field => Add(used, field.FieldType));
            foreach (MethodBase method in type.GetMembers(all).OfType<MethodBase>())
            {
                Array.ForEach(method.GetParameters(), parameter => Add(used, parameter.ParameterType));
                Add(used, (method as MethodInfo)?.ReturnType);
                foreach (LocalVariableInfo local in method.GetMethodBody()?.LocalVariables ?? [])
                {
                    Add(used, local.LocalType);
                }

                AddCalled(used, method);
            }
        }

        return used;
    }

    // The declaring types of what a method's body calls or loads: every metadata token in it that resolves to a member of the engine.
    private static void AddCalled(HashSet<string> used, MethodBase method)
    {
        byte[] body = method.GetMethodBody()?.GetILAsByteArray() ?? [];
        for (int at = 0; at + 4 < body.Length; at++)
        {
            if (body[at] is 0x28 or 0x6f or 0x73 or 0x7b or 0x7c or 0x7d or 0x7e or 0x7f or 0x80)   // call, callvirt, newobj, field access
            {
                Type[]? typeArguments = method.DeclaringType!.IsGenericType ? method.DeclaringType.GetGenericArguments() : null;
                Type[]? methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
                try
                {
                    Add(used,
                        method.Module.ResolveMember(BitConverter.ToInt32(body, at + 1), typeArguments, methodArguments)?.DeclaringType);
                }
                catch (Exception exception) when (exception is ArgumentException or BadImageFormatException)
                {
                    continue;   // octets in the middle of another instruction
                }
            }
        }
    }

    private static void Add(HashSet<string> used, Type? type)
    {
        while (type?.HasElementType == true)
        {
            type = type.GetElementType();
        }

        if (type is null || type.IsGenericParameter)
        {
            return;
        }

        foreach (Type argument in type.GetGenericArguments())
        {
            Add(used, argument);
        }

        while (type.DeclaringType is not null)
        {
            type = type.DeclaringType;
        }

        used.Add((type.IsGenericType ? type.GetGenericTypeDefinition() : type).FullName!);
    }

    [GeneratedRegex(@"^using OnDemand\.Dataplane\.(\w+);", RegexOptions.Multiline)]
    private static partial Regex Using();
}
