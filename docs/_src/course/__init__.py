"""The course as data: its pages, programs, lessons, notebooks and receipts.

It knows neither what makes a site of the pages nor what runs them.
"""
