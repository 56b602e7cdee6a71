"""The data provider's side: events become a sketch, encrypted to all duchies together and handed to one of them."""
