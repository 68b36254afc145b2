"""Recorded human speech from Debian packages, for tests and benchmarks.

`pocketsphinx-testdata` has LibriVox sentences (public domain; Aisha's own warm-up clip is made from them, so
figures of speed use the other voices), playing cards and digits; `asterisk-core-sounds-en-g722` and `-wav`
have some 350 prompts spoken by Allison Smith (CC BY-SA 3.0) at 16 and 8 kHz, whose texts are known for those
named below.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import jiwer

from aisha.speech.audio import probe

DEBIAN_PACKAGES = ("pocketsphinx-testdata", "asterisk-core-sounds-en-g722", "asterisk-core-sounds-en-wav")
SPHINX = Path("/usr/share/pocketsphinx/test/data")
ALLISON = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TRANSCRIPTION = re.compile(r"^(?:<s>)?(.*?)(?:</s>)?\s*\((\S+)\)\s*$")


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording and what is said in it, in lower case without punctuation; empty when that is not known."""

    path: Path
    text: str = ""


def librivox() -> list[Clip]:
    """Return five sentences of Sense and Sensibility, 2 to 7 s each, 16 kHz."""
    return _sphinx("librivox", "transcription")


def cards() -> list[Clip]:
    """Return five short utterances of playing cards by a man, 1 to 4 s each, 16 kHz."""
    return _sphinx("cards", "cards.transcription")


def prompts(kind: str = "g722") -> list[Clip]:
    """Return telephone prompts with known texts: `g722` at 16 kHz, `wav` at 8 kHz."""
    return [Clip(ALLISON / f"{name}.{kind}", text) for name, text in PROMPTS.items()]


def voices(shortest: float = 2.0, longest: float = 10.0) -> list[Clip]:
    """Return every recording of that many seconds by voices other than the warm-up's."""
    found = [*cards(), *(Clip(p, PROMPTS.get(p.stem, "")) for p in sorted(ALLISON.glob("*.g722")))]
    return [clip for clip in found if shortest <= (probe(clip.path).duration or 0) <= longest]


def word_error_rate(references: list[str], hypotheses: list[str]) -> float:
    """Return wrong, missing and extra words over the words said; a word cut in two counts as an error."""
    return float(jiwer.wer(references, hypotheses))


def _sphinx(folder: str, transcription: str) -> list[Clip]:
    lines = (SPHINX / folder / transcription).read_text().splitlines()
    matches = [match for line in lines if (match := TRANSCRIPTION.match(line))]
    return [Clip(SPHINX / folder / f"{said[2]}.wav", " ".join(said[1].split())) for said in matches]


PROMPTS = dict(
    line.split(": ", 1)
    for line in """
agent-alreadyon: that agent is already logged on please enter your agent number followed by the pound key
agent-newlocation: please enter a new extension followed by pound
agent-pass: please enter your password followed by the pound key
auth-incorrect: password incorrect please enter your password followed by the pound key
conf-enteringno: you are entering conference number
conf-extended: the conference has been extended
conf-getchannel: please enter the channel number followed by the pound key
conf-getconfno: please enter your conference number followed by the pound key
conf-getpin: please enter the conference pin number
conf-invalid: that is not a valid conference number please try again
conf-kicked: you have been kicked from this conference
conf-leaderhasleft: the leader has left the conference
conf-noempty: no empty conferences currently exist
conf-nonextended: the conference cannot be extended
conf-now-recording: the conference is now being recorded
conf-onlyone: there is currently one other participant in the conference
conf-onlyperson: you are currently the only person in this conference
conf-placeintoconf: you will now be placed into the conference
conf-userswilljoin: users will join the conference
conf-waitforleader: the conference will begin when the leader arrives
demo-echodone: the echo test has been completed
dir-instr: if this is the person you are looking for press one now otherwise please press star now
dir-nomatch: no directory entries match your search
dir-nomore: there are no more compatible entries in the directory
pbx-invalidpark: i am sorry there is no call parked on that extension please try again
priv-callpending: i have a caller waiting who introduces themselves as
priv-introsaved: thank you please hold while i attempt to connect you with your party
priv-recordintro: at the tone please say your name
privacy-incorrect: i'm sorry that number is not valid
privacy-prompt: please enter your phone number starting with the area code
privacy-unident: the party you are trying to reach does not accept unidentified calls
queue-callswaiting: waiting to speak with a representative
queue-holdtime: the estimated hold time is currently
queue-thereare: you are currently caller number
queue-youarenext: your call is now first in line and will be answered by the next available representative
ss-noservice: the number you have dialed is not in service please check the number and try again
transfer: please hold while i try that extension
tt-monkeysintro: they have been carried away by monkeys
tt-somethingwrong: something is terribly wrong
tt-weasels: weasels have eaten our phone system
vm-delete: press seven to delete this message
vm-dialout: please wait while i connect your call
vm-enter-num-to-call: please enter the number you wish to call
vm-intro: please leave your message after the tone when done hang up or press the pound key
vm-invalid-password: that password does not meet the minimum requirements for this mailbox please try again
vm-invalidpassword: that is not a valid password please try again
vm-msgsaved: your message has been saved
vm-newpassword: please enter your new password followed by the pound key
vm-newuser: welcome to comedian mail first i will guide you through a short setup process
vm-next: press six to play the next message
vm-nobodyavail: nobody is available to take your call at the moment
vm-nobox: you cannot reply to this message because the sender does not have a mailbox
vm-nonumber: i'm afraid i don't know who sent this message
vm-passchanged: your passwords have been changed
vm-prev: press four for the previous message
vm-rec-busy: after the tone say your busy message and then press the pound key
vm-rec-name: after the tone say your name and then press the pound key
vm-repeat: press five to repeat the current message
vm-review: press one to accept this recording press two to listen to it press three to rerecord your message
vm-saveoper: press one to accept this recording otherwise please continue to hold
vm-sorry: i'm sorry i did not understand your response
vm-tempgreetactive: your temporary greeting is currently active
vm-tempremoved: your temporary greeting has been removed
vm-tmpexists: there is a temporary greeting which overrides your standard greetings
vm-whichbox: to leave a message please enter a mailbox number
""".strip().splitlines()
)
