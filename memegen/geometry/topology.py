"""Named vertices of the MediaPipe face mesh (Kartynnik et al. 2019). Sides: the person's."""

from __future__ import annotations

# Rings run once around, so consecutive entries are neighbours and the last joins the first.
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LIPS_OUTER = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
)  # fmt: skip
# The edge of the mouth's opening: right corner, upper lip, left corner, lower lip.
LIPS_INNER = (
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95,
)  # fmt: skip
# The edge of each eye's opening: outer corner, upper lid, inner corner, lower lid (right eye);
# the left eye in the mirrored order, so that entry i of one is the mirror image of the other's.
EYE_RIGHT = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
EYE_LEFT = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
# The skin just above each upper lid: the next ring out, opposite entries 1..7 of the eye's ring.
LID_SKIN_RIGHT = (247, 30, 29, 27, 28, 56, 190)
LID_SKIN_LEFT = (467, 260, 259, 257, 258, 286, 414)
BROW_RIGHT = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
BROW_LEFT = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)

UPPER_LIP_EDGE = LIPS_INNER[0:11]  # corner to corner
LOWER_LIP_EDGE = (LIPS_INNER[0], *reversed(LIPS_INNER[10:]))  # corner to corner, same order
UPPER_LID, LOWER_LID = slice(1, 8), slice(9, 16)  # of an eye ring, without the corners
EYE_CORNERS = (0, 8)  # of an eye ring
LIP_CORNERS = (0, 10)  # of LIPS_INNER and LIPS_OUTER

REGIONS: dict[str, tuple[int, ...]] = {
    "mouth": LIPS_OUTER + LIPS_INNER,
    "eyes": EYE_RIGHT + EYE_LEFT,
    "brows": BROW_RIGHT + BROW_LEFT,
    "oval": FACE_OVAL,
}
