"""The seventeen tables by hand: columns, keys and indexes, for PostgreSQL, Arrow and Delta."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

_METADATA = """
    game_type varchar(5), season varchar(4), season_display varchar(10), original_date date,
    game_datetime timestamptz, local_time varchar(10), local_time_ampm varchar(5), day_night varchar(10),
    resume_date date, resume_datetime timestamptz, resumed_from_date date, resumed_from_datetime timestamptz,
    rescheduled_date date, rescheduled_datetime timestamptz, rescheduled_from_date date,
    rescheduled_from_datetime timestamptz, game_number int, doubleheader_type varchar(2), gameday_type varchar(5),
    tiebreaker varchar(5), gameday_id varchar(50), calendar_event_id varchar(50), venue_id int,
    venue_name varchar(100), official_venue_id int, abstract_game_state varchar(20), abstract_game_code varchar(5),
    detailed_state varchar(50), coded_game_state varchar(5), status_code varchar(5), status_reason varchar(100),
    start_time_tbd bool, home_team_id int, home_team_name varchar(100), home_team_abbreviation varchar(10),
    home_team_code varchar(10), home_team_file_code varchar(10), home_team_short_name varchar(50),
    home_team_nickname varchar(50), home_team_location varchar(50), home_league_id int,
    home_league_name varchar(100), home_division_id int, home_division_name varchar(100), home_games_played int,
    home_wins int, home_losses int, home_ties int, home_win_pct numeric(6,3), away_team_id int,
    away_team_name varchar(100), away_team_abbreviation varchar(10), away_team_code varchar(10),
    away_team_file_code varchar(10), away_team_short_name varchar(50), away_team_nickname varchar(50),
    away_team_location varchar(50), away_league_id int, away_league_name varchar(100), away_division_id int,
    away_division_name varchar(100), away_games_played int, away_wins int, away_losses int, away_ties int,
    away_win_pct numeric(6,3), home_score int, home_hits int, home_errors int, home_left_on_base int,
    away_score int, away_hits int, away_errors int, away_left_on_base int, scheduled_innings int,
    innings_played int, current_inning int, current_inning_ordinal varchar(10), inning_state varchar(20),
    inning_half varchar(10), is_top_inning bool, balls int, strikes int, outs int, linescore_note text,
    weather_condition varchar(50), weather_temp int, weather_wind varchar(100), attendance int,
    first_pitch_time timestamptz, game_duration_minutes int, delay_duration_minutes int,
    home_probable_pitcher_id int, home_probable_pitcher_name varchar(100), away_probable_pitcher_id int,
    away_probable_pitcher_name varchar(100), winning_pitcher_id int, winning_pitcher_name varchar(100),
    losing_pitcher_id int, losing_pitcher_name varchar(100), save_pitcher_id int, save_pitcher_name varchar(100),
    is_no_hitter bool, is_perfect_game bool, home_team_no_hitter bool, home_team_perfect_game bool,
    away_team_no_hitter bool, away_team_perfect_game bool, has_challenges bool, home_challenges_used int,
    home_challenges_remaining int, away_challenges_used int, away_challenges_remaining int,
    home_mound_visits_used int, home_mound_visits_remaining int, away_mound_visits_used int,
    away_mound_visits_remaining int, has_abs_challenges bool, home_abs_challenges_won int,
    home_abs_challenges_lost int, home_abs_challenges_remaining int, away_abs_challenges_won int,
    away_abs_challenges_lost int, away_abs_challenges_remaining int, official_scorer_id int,
    official_scorer_name varchar(100), primary_datacaster_id int, primary_datacaster_name varchar(100),
    secondary_datacaster_id int, secondary_datacaster_name varchar(100), feed_timestamp timestamptz
"""
_INNINGS = """
    inning int, inning_ordinal varchar(10), home_runs int, home_hits int, home_errors int, home_left_on_base int,
    away_runs int, away_hits int, away_errors int, away_left_on_base int
"""
_PLAYERS = """
    player_id int, full_name varchar(100), first_name varchar(100), middle_name varchar(100),
    last_name varchar(100), use_name varchar(100), use_last_name varchar(100), nickname varchar(100),
    boxscore_name varchar(100), name_first_last varchar(100), first_last_name varchar(100),
    last_first_name varchar(100), last_init_name varchar(100), init_last_name varchar(100),
    full_fml_name varchar(200), full_lfm_name varchar(200), name_slug varchar(200), name_matrilineal varchar(100),
    name_suffix varchar(20), name_title varchar(20), pronunciation varchar(200), primary_number varchar(10),
    birth_date date, current_age int, birth_city varchar(100), birth_state_province varchar(100),
    birth_country varchar(100), height varchar(20), weight int, gender varchar(10), is_active bool, is_player bool,
    is_verified bool, draft_year int, mlb_debut_date date, last_played_date date, bat_side_code varchar(5),
    bat_side_description varchar(20), pitch_hand_code varchar(5), pitch_hand_description varchar(20),
    primary_position_code varchar(5), primary_position_name varchar(50), primary_position_type varchar(50),
    primary_position_abbreviation varchar(10), strike_zone_top numeric(6,3), strike_zone_bottom numeric(6,3),
    home_roster_player_id int, away_roster_player_id int, home_team_id int, away_team_id int, side varchar(4),
    team_id int, jersey_number varchar(10), game_position_code varchar(5), game_position_name varchar(50),
    game_position_type varchar(50), game_position_abbreviation varchar(10), batting_order int,
    roster_status_code varchar(10), roster_status_description varchar(100), is_current_batter bool,
    is_current_pitcher bool, is_on_bench bool, is_substitute bool, parent_team_id int
"""
_PLAYS = """
    play_id varchar(50), inning int, half_inning varchar(10), is_top_inning bool, at_bat_index int,
    result_type varchar(20), event varchar(100), event_type varchar(50), description text, rbi int, away_score int,
    home_score int, is_out bool, start_time timestamptz, end_time timestamptz, play_end_time timestamptz,
    is_complete bool, is_scoring_play bool, has_review bool, has_out bool, captivating_index int, balls int,
    strikes int, outs int, batter_id int, batter_name varchar(100), bat_side_code varchar(5),
    bat_side_description varchar(20), pitcher_id int, pitcher_name varchar(100), pitch_hand_code varchar(5),
    pitch_hand_description varchar(20), batter_split varchar(20), pitcher_split varchar(20),
    men_on_base varchar(20), post_on_first_id int, post_on_first_name varchar(100), post_on_second_id int,
    post_on_second_name varchar(100), post_on_third_id int, post_on_third_name varchar(100)
"""
_PITCHES = """
    at_bat_index int, event_index int, play_id varchar(50), pitch_number int, event_kind varchar(20), inning int,
    half_inning varchar(10), batter_id int, pitcher_id int, bat_side_code varchar(5), pitch_hand_code varchar(5),
    pitch_type varchar(10), pitch_description varchar(100), pitch_call_code varchar(10), pitch_call varchar(100),
    result_code varchar(10), description text, is_in_play bool, is_strike bool, is_ball bool, is_out bool,
    has_review bool, runner_going bool, disengagement_number int, ball_color varchar(50), trail_color varchar(50),
    balls int, strikes int, outs int, start_time timestamptz, end_time timestamptz, pfx_id varchar(50),
    start_speed numeric(5,2), end_speed numeric(5,2), strike_zone_top numeric(5,2),
    strike_zone_bottom numeric(5,2), strike_zone_width numeric(6,2), strike_zone_depth numeric(6,2), zone int,
    type_confidence numeric(8,3), nasty_factor numeric(6,2), plate_time float8, extension float8,
    coordinates_x numeric(6,2), coordinates_y numeric(6,2), plate_x float8, plate_z float8, pfx_x float8,
    pfx_z float8, release_x float8, release_y float8, release_z float8, velocity_x float8, velocity_y float8,
    velocity_z float8, acceleration_x float8, acceleration_y float8, acceleration_z float8,
    break_angle numeric(6,2), break_length numeric(6,2), break_y numeric(6,2), break_vertical numeric(7,2),
    break_vertical_induced numeric(7,2), break_horizontal numeric(7,2), spin_rate numeric(8,3),
    spin_direction numeric(7,3), launch_speed numeric(6,2), launch_angle numeric(6,2), total_distance numeric(7,2),
    trajectory varchar(50), hardness varchar(20), hit_location varchar(10), hit_coordinate_x numeric(7,2),
    hit_coordinate_y numeric(7,2)
"""
_RUNNERS = """
    at_bat_index int, runner_index int, play_index int, inning int, half_inning varchar(10), runner_id int,
    runner_name varchar(100), origin_base varchar(10), start_base varchar(10), end_base varchar(10),
    out_base varchar(10), is_out bool, out_number int, event varchar(100), event_type varchar(50),
    movement_reason varchar(50), responsible_pitcher_id int, is_scoring_event bool, is_rbi bool, is_earned bool,
    is_team_unearned bool
"""
_SCORING_PLAYS = """
    at_bat_index int, inning int, half_inning varchar(10), event varchar(100), event_type varchar(50),
    description text, rbi int, away_score int, home_score int, is_scoring_play bool, outs int, batter_id int,
    batter_name varchar(100), pitcher_id int, pitcher_name varchar(100), start_time timestamptz,
    end_time timestamptz, captivating_index int
"""
_BATTING_ORDER = """
    list_index int, player_id int, team_id int, player_name varchar(100), jersey_number varchar(10),
    position_code varchar(5), position_name varchar(50), position_type varchar(50), position_abbreviation varchar(10),
    roster_status_code varchar(10), batting_order int, batting_slot int, bat_side_code varchar(5),
    is_current_batter bool, is_substitute bool
"""
_PITCHERS = """
    appearance_index int, player_id int, team_id int, player_name varchar(100), jersey_number varchar(10),
    position_code varchar(5), position_name varchar(50), position_type varchar(50),
    position_abbreviation varchar(10), roster_status_code varchar(10), batting_order int,
    pitch_hand_code varchar(5), is_current_pitcher bool, is_substitute bool
"""
_RESERVES = """
    list_index int, player_id int, team_id int, player_name varchar(100), jersey_number varchar(10),
    position_code varchar(5), position_name varchar(50), position_type varchar(50), position_abbreviation varchar(10),
    roster_status_code varchar(10), bat_side_code varchar(5), pitch_hand_code varchar(5), is_on_bench bool
"""
_UMPIRES = """
    official_index int, official_type varchar(50), official_id int, official_name varchar(100)
"""
_VENUE = """
    venue_id int, venue_name varchar(100), is_active bool, season varchar(10), address varchar(200),
    city varchar(100), state varchar(100), state_abbreviation varchar(50), postal_code varchar(20),
    country varchar(100), phone varchar(50), latitude float8, longitude float8, azimuth_angle numeric(6,2),
    elevation int, time_zone varchar(50), time_zone_offset numeric(4,2), time_zone_offset_at_game numeric(4,2),
    time_zone_abbreviation varchar(20), capacity int, turf_type varchar(50), roof_type varchar(50),
    left_line_distance int, left_distance int, left_center_distance int, center_distance int,
    right_center_distance int, right_distance int, right_line_distance int
"""

_BEFORE = "game_pk bigint, game_date date"
_AFTER = "source_captured_at timestamptz, transform_timestamp timestamptz, lineage_metadata jsonb"
TECHNICAL = ("source_captured_at", "transform_timestamp", "lineage_metadata")
_NOT_NULL = {"game_pk", "game_date", *TECHNICAL[:2]}
_ARROW: dict[str, pa.DataType] = {
    "int": pa.int32(), "bigint": pa.int64(), "float8": pa.float64(), "bool": pa.bool_(), "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"), "text": pa.string(), "jsonb": pa.string(),
}  # fmt: skip


def _arrow(sql_type: str) -> pa.DataType:
    numbers = [int(n) for n in re.findall(r"\d+", sql_type.removeprefix("float8"))]
    if sql_type.startswith("numeric"):
        return pa.decimal128(*numbers)
    return pa.string() if sql_type.startswith("varchar") else _ARROW[sql_type]


@dataclass(frozen=True)
class HandTable:
    """One table; `own` are the columns that are its own, `key` those after game_pk, `indexes` one text each."""

    name: str
    own: str
    key: str = ""
    indexes: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """(name, PostgreSQL type) of every column, in order."""
        pairs = re.findall(r"(\w+) (\w+(?:\([\d,]+\))?)", f"{_BEFORE}, {self.own}, {_AFTER}")
        return [(name, kind) for name, kind in pairs]

    @cached_property
    def names(self) -> list[str]:
        """Names of every column, in order."""
        return [name for name, _ in self.columns]

    @cached_property
    def own_types(self) -> list[pa.DataType]:
        """Arrow types of the table's own columns."""
        return [_arrow(kind) for _, kind in self.columns[2 : -len(TECHNICAL)]]

    @cached_property
    def schema(self) -> pa.Schema:
        """Arrow schema of every column."""
        keys = {*self.key_columns, *_NOT_NULL}
        return pa.schema(pa.field(name, _arrow(kind), nullable=name not in keys) for name, kind in self.columns)

    @property
    def key_columns(self) -> list[str]:
        """Names of the primary key."""
        return ["game_pk", *self.key.split()]

    @property
    def values(self) -> list[str]:
        """Columns that decide whether a row has changed."""
        return [name for name in self.names if name not in TECHNICAL and name not in self.key_columns]

    def ddl(self, schema: str) -> str:
        """SQL that creates table and indexes."""
        required = {*self.key_columns, *_NOT_NULL}
        columns = ", ".join(f"{name} {kind}{' NOT NULL' if name in required else ''}" for name, kind in self.columns)
        made = [f"CREATE TABLE {schema}.{self.name} ({columns}, PRIMARY KEY ({', '.join(self.key_columns)}))"]
        made += [f"CREATE INDEX ON {schema}.{self.name} ({index})" for index in self.indexes]
        return "; ".join(made)


INNINGS = HandTable("live_game_linescore_innings", _INNINGS, "inning")
METADATA = HandTable(
    "live_game_metadata", _METADATA, "", ("game_date, game_pk", "venue_id", "home_team_id, away_team_id")
)
PLAYERS = HandTable("live_game_players", _PLAYERS, "player_id", ("player_id", "team_id"))
PLAYS = HandTable(
    "live_game_plays", _PLAYS, "at_bat_index", ("game_pk, inning", "play_id", "batter_id", "pitcher_id", "event_type")
)
PITCHES = HandTable(
    "live_game_pitch_events", _PITCHES, "at_bat_index event_index",
    ("game_pk, play_id", "pitch_type", "pitcher_id", "batter_id"),
)  # fmt: skip
RUNNERS = HandTable("live_game_runners", _RUNNERS, "at_bat_index runner_index", ("runner_id", "game_pk, inning"))
SCORING_PLAYS = HandTable("live_game_scoring_plays", _SCORING_PLAYS, "at_bat_index", ("game_pk, inning",))
UMPIRES = HandTable("live_game_umpires", _UMPIRES, "official_index", ("official_id",))
VENUE = HandTable("live_game_venue_details", _VENUE, "", ("venue_id",))
SIDE_TABLES = {
    side: (
        HandTable(f"live_game_{side}_batting_order", _BATTING_ORDER, "player_id", ("player_id",)),
        HandTable(f"live_game_{side}_pitchers", _PITCHERS, "player_id", ("player_id",)),
        HandTable(f"live_game_{side}_bench", _RESERVES, "player_id", ("player_id",)),
        HandTable(f"live_game_{side}_bullpen", _RESERVES, "player_id", ("player_id",)),
    )
    for side in ("home", "away")
}
TABLES = [
    PITCHES, PLAYERS, PLAYS, RUNNERS, SCORING_PLAYS, INNINGS, METADATA, UMPIRES, VENUE,
    *SIDE_TABLES["home"], *SIDE_TABLES["away"],
]  # fmt: skip
"""The large ones first: they are merged first."""
