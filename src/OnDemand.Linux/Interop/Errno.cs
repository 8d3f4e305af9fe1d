namespace OnDemand.Linux.Interop;

/// <summary>The errors of errno(3) that this program tells apart. The values are those of every architecture that .NET runs on.</summary>
internal static class Errno
{
    public const int Eperm = 1;
    public const int Enoent = 2;
    public const int Esrch = 3;
    public const int Eintr = 4;
    public const int Eio = 5;
    public const int Enxio = 6;
    public const int Ebadf = 9;
    public const int Eagain = 11;
    public const int Enomem = 12;
    public const int Eacces = 13;
    public const int Efault = 14;
    public const int Ebusy = 16;
    public const int Eexist = 17;
    public const int Enodev = 19;
    public const int Einval = 22;
    public const int Enfile = 23;
    public const int Emfile = 24;
    public const int Efbig = 27;
    public const int Enospc = 28;
    public const int Erange = 34;
    public const int Enobufs = 105;
    public const int Eprotonosupport = 93;
    public const int Eopnotsupp = 95;
    public const int Eaddrinuse = 98;
    public const int Eaddrnotavail = 99;
    public const int Enetdown = 100;
    public const int Enetunreach = 101;
    public const int Ehostunreach = 113;
    public const int Ebadfd = 77;
    public const int Etimedout = 110;
    public const int Estale = 116;
    public const int Edquot = 122;
    public const int Enosys = 38;
    public const int Enotsock = 88;
    public const int Enoprotoopt = 92;
}
