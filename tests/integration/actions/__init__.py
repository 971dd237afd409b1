"""Every action on real servers, through the dispatcher and through the command."""
