namespace OnDemand.Dataplane.Tests.Model;

/// <summary>The engine did what the model does not allow.</summary>
public sealed class ModelMismatchException : Exception
{
    public ModelMismatchException()
    {
    }

    public ModelMismatchException(string message)
        : base(message)
    {
    }

    public ModelMismatchException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public static void If(bool condition, string message)
    {
        if (condition)
        {
            throw new ModelMismatchException(message);
        }
    }
}
