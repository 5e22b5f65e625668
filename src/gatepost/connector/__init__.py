"""The on-premises agent: reads Exchange, tells the service, carries out what it wants. Listens on nothing."""
