"""Training: a small SAM from nothing, or the decoder of any SAM on a collection (protocol 7).

One loop (`loop.train`) runs both; `config` says what, `samples` and `batches` bring images and
prompts, `losses` and `validation` judge, `state` and `record` keep what was reached. Only
`distributed` knows Ray, and imports it when it is called.
"""
