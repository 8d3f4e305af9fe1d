using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Tap;

/// <summary>
/// A TAP interface, or one of its queues (Documentation/networking/tuntap.rst of the kernel). Unsegmented superpackets and partial checksums
/// cross it as they are, as far as the kernel lets them.
/// </summary>
internal sealed class TapDevice : IFrameDevice, IDisposable
{
    private const string CloneDevice = "/dev/net/tun";

    // linux/if_tun.h and linux/sockios.h; these numbers hold on every architecture with the generic _IOC layout.
    private const nuint SetInterface = 0x4004_54ca;          // TUNSETIFF
    private const nuint SetPersist = 0x4004_54cb;            // TUNSETPERSIST
    private const nuint SetOffload = 0x4004_54d0;            // TUNSETOFFLOAD
    private const nuint SetHeaderLength = 0x4004_54d8;       // TUNSETVNETHDRSZ
    private const nuint SetSteering = 0x8004_54e0;           // TUNSETSTEERINGEBPF, 4.16
    private const nuint GetHardwareAddress = 0x8927;         // SIOCGIFHWADDR
    private const ushort Tap = 0x0002;                       // IFF_TAP
    private const ushort NoPacketInformation = 0x1000;       // IFF_NO_PI
    private const ushort WithHeader = 0x4000;                // IFF_VNET_HDR
    private const ushort SeveralQueues = 0x0100;             // IFF_MULTI_QUEUE

    private const string Attributes = "/sys/class/net";      // Documentation/ABI/testing/sysfs-class-net-queues

    private const uint RingEntries = 64;
    private const int FewFrames = 3;                         // for as many, plain calls cost less

    private readonly FileDescriptor _file;
    private readonly int[] _results = new int[RingEntries];
    private readonly List<TapDevice> _others = [];
    private FrameRing? _ring;
    private bool _steers;

    private TapDevice(FileDescriptor file, string name, TapOffloads offloads, bool isNew)
    {
        _file = file;
        Descriptor = file.Number;
        Name = name;
        Offloads = offloads;
        IsNew = isNew;
    }

    /// <summary>The interface's name.</summary>
    public string Name { get; }

    /// <summary>The interface's number; 0 if it is gone.</summary>
    public int Index => (int)Libc.InterfaceIndex(Name);

    /// <inheritdoc/>
    public TapOffloads Offloads { get; }

    /// <inheritdoc/>
    public bool HasRing => _ring is not null;

    /// <summary>Why there is no ring: the errno of the last attempt; 0 if there was none.</summary>
    public int RingError { get; private set; }

    /// <summary>Why the kernel spreads frames over the queues in its own way and not in that of <see cref="QueueSteering"/>; null if it does not,
    /// or if there is one queue.</summary>
    public string? SteeringProblem { get; private set; }

    /// <summary>Whether this made the interface; it is gone then when this is closed, unless it was made persistent.</summary>
    public bool IsNew { get; }

    /// <summary>The other queues of this TAP; they end with it.</summary>
    public IReadOnlyList<TapDevice> Others => _others;

    /// <inheritdoc/>
    public int Descriptor { get; }

    /// <inheritdoc/>
    public MacAddress HardwareAddress { get; private set; }

    /// <summary>Opens a TAP, and makes it if it is not there.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="wanted">What may be left to us; what the kernel does not know is left out.</param>
    /// <param name="queues">How many queues it has.</param>
    /// <returns>The TAP: its first queue, which knows the others.</returns>
    /// <exception cref="HostException">It cannot be had; the message says why and what to do.</exception>
    public static TapDevice Open(string name, TapOffloads wanted = TapOffloads.All, int queues = 1)
    {
        if (!InterfaceRequest.IsValidName(name))
        {
            throw new HostException(
                $"'{name}' cannot be the name of an interface: at most {InterfaceRequest.LongestName} octets without blanks, / and :.");
        }

        bool isNew = Libc.InterfaceIndex(name) == 0;
        TapDevice first = OpenQueue(name, wanted, queues > 1, isNew);
        try
        {
            while (first._others.Count + 1 < queues)
            {
                first._others.Add(OpenQueue(name, wanted, several: true, isNew: false));
            }

            if (queues > 1)
            {
                CheckNobodyElse(name, queues);
                using FileDescriptor? steering = QueueSteering.TryLoad(out int error);
                first.SteeringProblem = steering is null ? new LinuxException("bpf", error).Message
                    : first.Steer(steering.Number) is not 0 and int refusal ? new LinuxException("ioctl TUNSETSTEERINGEBPF", refusal).Message : null;
                first._steers = first.SteeringProblem is null;
            }

            return first;
        }
        catch
        {
            first.Dispose();
            throw;
        }
    }

    /// <summary>Lets the interface outlive this process, or not.</summary>
    /// <param name="persist">Whether it does.</param>
    /// <exception cref="LinuxException">The kernel refused.</exception>
    public void Persist(bool persist) => Check(Libc.Control(Descriptor, SetPersist, persist ? 1u : 0u), $"ioctl TUNSETPERSIST {Name}");

    /// <inheritdoc/>
    public void RefreshHardwareAddress()
    {
        Span<byte> request = stackalloc byte[InterfaceRequest.Length];
        InterfaceRequest.Name(request, Name);
        if (Libc.Control(Descriptor, GetHardwareAddress, request) == 0)               // else it is gone, and reading will say so
        {
            HardwareAddress = MacAddress.Read(request[(InterfaceRequest.Union + 2)..]);   // behind the address family
        }
    }

    /// <inheritdoc/>
    public void OpenRing()
    {
        if (_ring is null)
        {
            _ring = FrameRing.TryOpen(Descriptor, RingEntries, out int error);
            RingError = HasRing ? 0 : error;
        }
    }

    /// <inheritdoc/>
    public void CloseRing()
    {
        _ring?.Dispose();
        _ring = null;
    }

    /// <inheritdoc/>
    public int Read(Span<byte> buffer)
    {
        nint count = Libc.Read(Descriptor, buffer, buffer.Length);
        return count >= 0 ? (int)count : -Libc.LastError;
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> frame)
    {
        nint count = Libc.Write(Descriptor, frame, frame.Length);
        return count >= 0 ? (int)count : -Libc.LastError;
    }

    /// <inheritdoc/>
    public unsafe void Read(Span<byte> buffer, int stride, Span<int> results)
    {
        nint start = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(buffer[..(stride * results.Length)]));
        for (int i = 0; i < results.Length; i++)
        {
            _ring!.QueueRead(start + (i * stride), stride);
        }

        Submit(results);
    }

    /// <inheritdoc/>
    public unsafe void Write(ReadOnlySpan<IoPart> parts, Span<FrameWrite> frames)
    {
        if (_ring is null || frames.Length <= FewFrames)
        {
            foreach (ref FrameWrite frame in frames)
            {
                nint count = frame.Count == 1
                    ? Libc.Write(Descriptor, parts[frame.First]) : Libc.WriteParts(Descriptor, parts.Slice(frame.First, frame.Count), frame.Count);
                frame.Result = count >= 0 ? (int)count : -Libc.LastError;
            }

            return;
        }

        var table = (IoPart*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(parts));
        foreach (ref readonly FrameWrite frame in frames)
        {
            _ring.QueueWrite(table + frame.First, frame.Count);
        }

        Span<int> results = _results.AsSpan(0, frames.Length);
        Submit(results);
        for (int i = 0; i < frames.Length; i++)
        {
            frames[i].Result = results[i];
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_steers && !_file.IsClosed)
        {
            _ = Steer(-1);                           // the interface may outlive this
        }

        foreach (TapDevice other in _others)
        {
            other.Dispose();
        }

        CloseRing();
        _file.Dispose();
    }

    // A TAP with one queue can be had by one program only. One with several takes any number of programs, and shares its frames out among them.
    private static void CheckNobodyElse(string name, int queues)
    {
        string directory = $"{Attributes}/{name}/queues";
        if (Directory.Exists(directory) && Directory.GetDirectories(directory, "rx-*").Length > queues)
        {
            throw NotAttached(name, several: true, Errno.Ebusy);
        }
    }

    private int Steer(int program)
    {
        Span<byte> number = stackalloc byte[sizeof(int)];
        MemoryMarshal.Write(number, program);
        return Libc.Control(Descriptor, SetSteering, number) < 0 ? Libc.LastError : 0;
    }

    private static TapDevice OpenQueue(string name, TapOffloads wanted, bool several, bool isNew)
    {
        FileDescriptor file = Libc.Open(CloneDevice, Libc.ReadWrite | Libc.NonBlocking | Libc.CloseOnExec, 0);
        try
        {
            if (file.IsInvalid)
            {
                throw NoCloneDevice(Libc.LastError);
            }

            Attach(file, name, several);
            var device = new TapDevice(file, name, Offload(file, name, wanted), isNew);
            device.RefreshHardwareAddress();
            return device;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private void Submit(Span<int> results)
    {
        _ring!.Submit(results);
        if (_ring.IsBroken)
        {
            RingError = Libc.LastError;
            CloseRing();
        }
    }

    private static void Attach(FileDescriptor file, string name, bool several)
    {
        Span<byte> request = stackalloc byte[InterfaceRequest.Length];
        InterfaceRequest.Name(request, name);
        MemoryMarshal.Write(request[InterfaceRequest.Union..], (ushort)(Tap | NoPacketInformation | WithHeader | (several ? SeveralQueues : 0)));
        if (Libc.Control(file.Number, SetInterface, request) < 0)
        {
            throw NotAttached(name, several, Libc.LastError);
        }

        // The length is ten since 2.6.32 unless an earlier user of a persistent TAP has set another.
        Span<byte> length = stackalloc byte[sizeof(int)];
        MemoryMarshal.Write(length, VirtioNetHeader.Length);
        Check(Libc.Control(file.Number, SetHeaderLength, length), $"ioctl TUNSETVNETHDRSZ {name}");
    }

    // A kernel refuses the whole set if it does not know one: UDP segmentation came with 6.2.
    private static TapOffloads Offload(FileDescriptor file, string name, TapOffloads wanted)
    {
        const TapOffloads udp = TapOffloads.UdpSegmentation4 | TapOffloads.UdpSegmentation6;
        foreach (TapOffloads some in (ReadOnlySpan<TapOffloads>)[wanted, wanted & ~udp, wanted & TapOffloads.Checksum])
        {
            if (Libc.Control(file.Number, SetOffload, (nuint)some) == 0)
            {
                return some;
            }
        }

        Check(Libc.Control(file.Number, SetOffload, 0), $"ioctl TUNSETOFFLOAD {name}");
        return TapOffloads.None;
    }

    private static void Check(int result, string call)
    {
        if (result < 0)
        {
            throw new LinuxException(call, Libc.LastError);
        }
    }

    private static HostException NoCloneDevice(int error) => error switch
    {
        Errno.Enoent or Errno.Enodev or Errno.Enxio => new HostException(
            $"There is no {CloneDevice}: load the kernel module with 'modprobe tun', or give the container this device."),
        Errno.Eacces or Errno.Eperm => new HostException(
            $"{CloneDevice} may not be opened: start ondemand as root, or let this container use it."),
        _ => new HostException(new LinuxException($"open {CloneDevice}", error).Message + "."),
    };

    private static HostException NotAttached(string name, bool several, int error) => error switch
    {
        Errno.Ebusy => new HostException(
            $"The TAP {name} is in use by another program: stop that one, or choose another name under 'host: tap'."),
        Errno.Eperm => new HostException($"The TAP {name} may not be opened: start ondemand as root or with CAP_NET_ADMIN."),
        Errno.Einval => new HostException(
            $"The interface {name} is there and is no TAP with {(several ? "several queues" : "one queue")}: remove it, or choose another name under 'host: tap'."),
        _ => new HostException(new LinuxException($"ioctl TUNSETIFF {name}", error).Message + "."),
    };
}
