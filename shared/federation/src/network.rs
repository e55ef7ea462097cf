//! Name resolution and dialling: the seam under the guarded client.
