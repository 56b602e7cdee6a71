"""A duchy's services: internal API, computation control, async control, requisition fulfillment, herald."""
