"""The lab: runs any program under watch and explains why it does not end."""
