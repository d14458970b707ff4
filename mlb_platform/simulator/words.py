"""Word lists of the simulated league: every name made from them is invented."""


def _split(text: str, by: str | None = None) -> tuple[str, ...]:
    return tuple(text.split(by))


FIRST_NAMES = _split(
    "Abner Alden Ambrose Anselmo Arlo Barnaby Basilio Benno Bram Calder Casimir Clementio Corwin Dario Delmar Dov "
    "Edmond Elio Emeric Ezra Fabian Farley Finnian Florian Garrick Gideon Guthrie Halvard Hollis Horace Ignacio "
    "Isandro Jarek Jasper Jorah Kaspar Keaton Kellan Lamar Leander Linus Lorcan Macario Marcel Merrick Milo "
    "Nestor Nicanor Oberon Octavio Odell Orson Osvaldo Pascual Percival Phineas Quentin Rainer Ramiro Reuben "
    "Rolf Rufino Sandor Silas Soren Stellan Tadeo Thaddeus Torben Ulises Urban Valentin Vito Waldo Wendell Wiley "
    "Yago Yorick Zebulon Zeno"
)

MIDDLE_NAMES = _split(
    "Alaric Bertram Cyprian Dunstan Eusebio Fermin Gaspar Hyram Ivo Jory Kip Lazaro Mordecai Niles Orrin Prosper "
    "Quill Roque Sixto Tobin Ulric Vandric Wystan Xavi Yves Zoltan"
)

LAST_NAMES = _split(
    "Abernoth Alderwick Amezola Arrowood Ashgrove Balderas Barrowby Belcastel Birchall Blackmere Boldrin "
    "Bramwell Brindelli Calloway Candelmar Carrick Castellaro Chadbury Coldwater Corvinas Crowhurst Dalmasso "
    "Darrowby Delacorte Dunmore Eastlake Ellsworthy Escobedo Fairweather Farnholt Fenwick Figuerola Galbraithe "
    "Garrowby Gildersleeve Goldfinch Granvelle Greywood Hallowell Harkness Hawksworth Heatherby Hollander "
    "Holmgrave Ibarrola Inglewood Ironside Jarrowgate Jessamy Kestrel Kingswell Kirkbride Lamberton Larkspur "
    "Leatherwood Lindqvist Lockridge Longacre Madrigal Marchbanks Marlowe Mendizabal Merriweather Millbrook "
    "Montebravo Moorcroft Netherby Nightingale Northcote Oakhurst Ormsby Ostrander Palafox Pennywell Pettibone "
    "Quarrington Quinterol Ravenscar Redfern Ridgeway Rosenthorpe Rutherglen Saltmarsh Sandovar Sedgewick "
    "Silverton Somervale Stanhope Stonebridge Tamarisk Templeton Thistlewood Thornbury Torrealta Underhill "
    "Uzcategui Valderrama Vandermeer Villafranca Wainwright Waverley Westbrook Whitlowe Willoughby Winterbourne "
    "Woolcott Yarborough Yellowley Zabaleta Zimmerlin"
)

NICKNAMES = _split(
    "Ace Biscuit Button Chopper Dash Domino Fuse Gravy Hopper Inch Jumbo Knuck Lefty Moose Nails Ox Pudge Rook "
    "Scoot Tank"
)

TOWNS = _split(
    "Alder Bend|Birch Hollow|Cedar Ferry|Dry Fork|Elm Crossing|Fox Landing|Gull Point|Heron Bay|Iron Ridge|"
    "Juniper Flat|Kettle Falls|Long Meadow|Mill Haven|North Quay|Otter Creek|Pine Barrow|Quarry Hill|Rush Valley|"
    "Salt Harbor|Twin Elms",
    "|",
)

COUNTRIES = (
    ("USA", True),
    ("USA", True),
    ("USA", True),
    ("Dominican Republic", False),
    ("Venezuela", False),
    ("Japan", False),
)

STATES = ("CA", "FL", "TX", "GA", "OH", "NY", "IL", "WA", "NC", "AZ")

# city, nickname, abbreviation, state, its abbreviation, time zone, standard offset, observes daylight time, its letters
CLUBS = (
    ("Port Larkin", "Lamplighters", "PLK", "Maine", "ME", "America/New_York", -5, True, "E"),
    ("Glen Harrow", "Foxes", "GLH", "New York", "NY", "America/New_York", -5, True, "E"),
    ("Easterly", "Tidewaiters", "EAS", "Massachusetts", "MA", "America/New_York", -5, True, "E"),
    ("Cape Doral", "Herons", "CPD", "Florida", "FL", "America/New_York", -5, True, "E"),
    ("Ashbourne", "Coopers", "ASH", "Maryland", "MD", "America/New_York", -5, True, "E"),
    ("Mill Forge", "Hammers", "MFG", "Pennsylvania", "PA", "America/New_York", -5, True, "E"),
    ("Lakeside", "Ferrymen", "LKS", "Ohio", "OH", "America/New_York", -5, True, "E"),
    ("Prairie Rose", "Larks", "PRR", "Illinois", "IL", "America/Chicago", -6, True, "C"),
    ("Twin Locks", "Voyagers", "TWL", "Minnesota", "MN", "America/Chicago", -6, True, "C"),
    ("Grand Marsh", "Kingfishers", "GMR", "Wisconsin", "WI", "America/Chicago", -6, True, "C"),
    ("Red Bluff", "Badgers", "RBF", "Texas", "TX", "America/Chicago", -6, True, "C"),
    ("Copper Basin", "Miners", "CPB", "Arizona", "AZ", "America/Phoenix", -7, False, "M"),
    ("San Alvaro", "Comets", "SAV", "California", "CA", "America/Los_Angeles", -8, True, "P"),
    ("Fogbank", "Beacons", "FOG", "California", "CA", "America/Los_Angeles", -8, True, "P"),
    ("Cascade Point", "Loggers", "CSP", "Washington", "WA", "America/Los_Angeles", -8, True, "P"),
    ("Brackwater", "Oysters", "BRK", "Virginia", "VA", "America/New_York", -5, True, "E"),
    ("Hudson Fields", "Clippers", "HUF", "New York", "NY", "America/New_York", -5, True, "E"),
    ("Tallow Creek", "Chandlers", "TLC", "Georgia", "GA", "America/New_York", -5, True, "E"),
    ("Palm Reach", "Sandpipers", "PLR", "Florida", "FL", "America/New_York", -5, True, "E"),
    ("Old Quarry", "Masons", "OLQ", "Pennsylvania", "PA", "America/New_York", -5, True, "E"),
    ("Stillwater Park", "Skippers", "STP", "Michigan", "MI", "America/Detroit", -5, True, "E"),
    ("River Junction", "Switchmen", "RVJ", "Missouri", "MO", "America/Chicago", -6, True, "C"),
    ("Bellweather", "Storks", "BLW", "Iowa", "IA", "America/Chicago", -6, True, "C"),
    ("Hickory Flats", "Fiddlers", "HKF", "Tennessee", "TN", "America/Chicago", -6, True, "C"),
    ("Windrow", "Threshers", "WDR", "Kansas", "KS", "America/Chicago", -6, True, "C"),
    ("High Mesa", "Cairns", "HMS", "Colorado", "CO", "America/Denver", -7, True, "M"),
    ("Silver Draw", "Assayers", "SLD", "Nevada", "NV", "America/Los_Angeles", -8, True, "P"),
    ("Costa Verde", "Pelicans", "CVD", "California", "CA", "America/Los_Angeles", -8, True, "P"),
    ("Orchard Bay", "Grafters", "ORB", "Oregon", "OR", "America/Los_Angeles", -8, True, "P"),
    ("Northgate", "Wardens", "NGT", "Ontario", "ON", "America/Toronto", -5, True, "E"),
)

PARK_WORDS = ("Park", "Field", "Grounds", "Stadium", "Yard", "Oval")
STREETS = ("Catalpa Avenue", "Tannery Road", "Bellfounder Street", "Mulberry Walk", "Old Mill Drive")
