"""Put photo, painting and result side by side: the picture of the README.

python cli.py stylize --region background -o /tmp/result.png
python tools/readme_picture.py /tmp/result.png examples/astronaut-background.webp
"""

import argparse
from pathlib import Path

from PIL import Image

from commands import samples

HEIGHT_PX, GAP_PX = 512, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    pictures = [
        Image.open(path).convert("RGB") for path in (samples.photo("astronaut"), samples.PAINTING, arguments.result)
    ]
    pictures = [picture.resize((round(picture.width * HEIGHT_PX / picture.height), HEIGHT_PX)) for picture in pictures]
    width = sum(picture.width for picture in pictures) + GAP_PX * (len(pictures) - 1)
    sheet, left = Image.new("RGB", (width, HEIGHT_PX), "white"), 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + GAP_PX
    sheet.save(arguments.output, quality=85, method=6)


if __name__ == "__main__":
    main()
