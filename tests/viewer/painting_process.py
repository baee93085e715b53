"""``python painting_process.py CAMPAIGN DRAWN``: draw a stroke, say so, and wait to be killed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from viewer.window_hand import Hand

if __name__ == "__main__":
    hand = Hand(Path(sys.argv[1]), "jr")
    labels = hand.session.campaign.label_folder
    hand.stroke(0, (1, 3))
    hand.wait(lambda: list(labels.glob(".*.nnsparse_journal")))
    Path(sys.argv[2]).write_text(str(hand.session.current), encoding="utf-8")
    hand.wait(lambda: False)
