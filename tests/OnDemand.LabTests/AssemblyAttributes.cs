// Every test has a network of its own, but they share the processors: one at a time gives times that can be compared.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
