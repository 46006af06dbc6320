"""Speak the hospital's language: DICOM SEG and SR, tables for trial databases."""
