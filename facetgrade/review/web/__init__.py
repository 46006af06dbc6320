"""The readers' pages: images, viewer, work list, adjudication, agreement."""
