"""Parts of a report in text: what each format must escape, and the table of other definitions of mIoU."""
