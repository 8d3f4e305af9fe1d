Console.WriteLine("ondemand");
