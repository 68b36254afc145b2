"""From a file to a transcript, without any service: audio is decoded, cut at silences and recognised."""
