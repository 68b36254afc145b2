"""The fourth step: workers take jobs from the queue and recognise what is said."""
