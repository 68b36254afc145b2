"""The fourth step: audio is decoded, cut at silences and recognised."""
