"""`cv2_imshow` shows nothing."""


def cv2_imshow(image):
    """Does nothing."""
